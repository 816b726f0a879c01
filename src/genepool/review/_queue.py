"""Who is asked what next: the recorded random order, with controls and repeats mixed in."""

from __future__ import annotations

import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from genepool.errors import UsageError
from genepool.records import Verdict
from genepool.review._draw import Population, order
from genepool.review._mixture import Mixture, Person, Progress
from genepool.store import Asked, ReviewRecord

if TYPE_CHECKING:
    from genepool.store import Draw

__all__ = ["ReviewQueue"]

_ANSWERS = ("human", "ai", "unsure")


class ReviewQueue:
    """The questions of one set. Safe to use from several threads; one process at a time.

    Unverified images come in an order that was drawn uniformly at random, without replacement, before anybody
    was asked; controls and repeats are mixed in by a hash of the seed, the reviewer and a counter. Every
    question is on the disk before it is shown.

    Args:
        record: The workspace's review file.
        draw: The recorded draw.
        population: The images it orders.
        truths: Controls, digest → ``human`` or ``ai``.
        outputs: Outputs of models that somebody has to see, digest → model; they are controls as well.
        mixture: Shares of controls, repeats and overlap.
        clock: Unix seconds now.
    """

    def __init__(
        self,
        record: ReviewRecord,
        draw: Draw,
        population: Population,
        truths: Mapping[str, str],
        *,
        outputs: Mapping[str, str] | None = None,
        mixture: Mixture | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.record, self.draw, self.population = record, draw, population
        self.mixture = mixture or Mixture()
        self.controls = dict(truths)
        self.outputs = dict(outputs or {})
        self._clock = clock
        self._lock = threading.RLock()
        self._order = order(draw.seed, draw.n)
        self._asked: dict[str, Asked] = {}
        self._people: dict[str, Person] = {}
        self._leases: dict[str, dict[str, float]] = {}
        self._placed: set[int] = set()
        self._control_order = {
            truth: sorted((d for d, t in truths.items() if t == truth), key=lambda d: self._hash("c", d))
            for truth in ("human", "ai")
        }
        self._load()

    # ------------------------------------------------------------------------------------ asking

    def next(self, reviewer: str, n: int = 8) -> list[Asked]:
        """The next questions for a person: first those that are still open, so that none is skipped.

        Returns:
            At most ``n``; empty when there is nothing left to ask this person.

        Raises:
            UsageError: n below 1.
            WorkspaceError: They cannot be recorded.
        """
        if isinstance(n, bool) or n < 1:
            raise UsageError(f"queue: expected a number of questions of at least 1, found {n!r}")
        with self._lock:
            person = self._person(reviewer)
            found = list(person.open.values())[:n]
            fresh: list[Asked] = []
            placed: list[Asked] = []
            while len(found) + len(fresh) < n:
                asked = self._question(reviewer, person, placed)
                if asked is None:
                    break
                fresh.append(asked)
                self._keep(asked)
            if fresh or placed:
                self.record.ask([*placed, *fresh])
            return found + fresh

    def question(self, token: str) -> Asked:
        """The question that a token names.

        Raises:
            UsageError: There is none in this draw.
        """
        with self._lock:
            if (asked := self._asked.get(token)) is None:
                raise UsageError(
                    "review: this question is not open any more", hint="reload the page: the set has changed"
                )
            return asked

    def pending(self, reviewer: str, digest: str) -> str:
        """The token of the open or answered question about an image to this person, or empty."""
        with self._lock:
            for name in (reviewer, ""):
                for token, asked in self._people.get(name, Person()).open.items():
                    if asked.sha256 == digest:
                        return token
            mine = [t for t, a in self._asked.items() if a.sha256 == digest and a.reviewer in (reviewer, "")]
            return mine[-1] if mine else ""

    # --------------------------------------------------------------------------------- answering

    def answer(
        self,
        token: str,
        answer: str,
        reviewer: str,
        *,
        nonce: str = "",
        session: str = "",
        sequence: int = -1,
        seconds: float | None = None,
        uncanny: bool = False,
        comment: str = "",
    ) -> Verdict:
        """Keep a person's answer; it is on the disk when this returns.

        A second answer to the same question takes the first one back; once the evidence was seen it is
        flagged as a changed mind and never counts as blind.

        Args:
            token: The question.
            answer: ``human``, ``ai`` or ``unsure``.
            reviewer: Whom it was put to.
            nonce: Names this one decision: sent twice, it is kept once.
            session: The sitting.
            sequence: Its place in the sitting.
            seconds: From sight to answer.
            uncanny: Flagged as uncanny.
            comment: In the person's own words.

        Raises:
            UsageError: Not this person's question, or no such answer.
            WorkspaceError: It cannot be written: then it is *not* kept.
        """
        asked = self.question(token)
        if asked.reviewer not in (reviewer, "") or not reviewer.strip():
            raise UsageError("review: this question was put to somebody else")
        if answer not in _ANSWERS:
            raise UsageError(f"verdict: expected one of {', '.join(_ANSWERS)}, found {answer!r}")
        with self._lock:
            again, informed = (token, reviewer) in self._heard, token in self._seen
        verdict = Verdict(
            sha256=asked.sha256,
            answer=answer,  # type: ignore[arg-type]  # checked above
            reviewer=reviewer,
            at=self._clock(),
            control=asked.kind == "control",
            comment=comment,
            session=session,
            sequence=sequence,
            seconds=seconds,
            uncanny=uncanny,
            changed=informed,
            undo=again and not informed,
            repeat=asked.kind == "repeat",
            token=token,
        )
        # Outside the queue's own lock: commits of several reviewers do not wait for each other's bookkeeping.
        if self.record.add(verdict, nonce=nonce):
            with self._lock:
                self._note(asked, reviewer, answer, changed=informed)
                self._verdicts += 1
        return verdict

    def reveal(self, token: str, reviewer: str) -> Asked:
        """Note that this person now sees the evidence about an image that they have judged.

        Raises:
            UsageError: Not judged yet: a reviewer judges blind.
        """
        asked = self.question(token)
        with self._lock:
            if (token, reviewer) not in self._heard:
                raise UsageError("review: expected a verdict before the evidence is shown, found none")
            if token not in self._seen:
                self.record.mark_seen(token, self._clock())
                self._seen.add(token)
                self._person(reviewer).repeated.add(asked.sha256)  # no longer blind: never repeated
        return asked

    def refresh(self) -> None:
        """Read again whose verdicts count: after a reviewer was quarantined or let back in."""
        with self._lock:
            self._answers = self.record.blind()
            self._out = self.record.quarantined()
            self._await_outputs(self.record.all() if self.outputs else ())
            self._frontier = 0
            self._advance()

    def progress(self, reviewer: str = "") -> Progress:
        """How far the draw has come."""
        with self._lock:
            self._advance()
            person = self._people.get(reviewer, Person())
            mine = {a.sha256 for a in self._asked.values() if a.kind == "image"}
            known = {d: a for d, a in self._answers.items() if d in mine}
            return Progress(
                n=self.draw.n,
                answered=self._unbroken(),
                judged=len(known),
                verdicts=self._verdicts,
                disagreed=sum({"human", "ai"} <= set(a.values()) for a in known.values()),
                reviewers=tuple(sorted(name for name in self._people if name)),
                controls_left={
                    truth: sum(d not in person.shown for d in digests)
                    for truth, digests in self._control_order.items()
                },
                outputs_left=dict(Counter(self.outputs[digest] for digest in self._unseen)),
            )

    # ----------------------------------------------------------------------------------- private

    def _load(self) -> None:
        record = self.record
        self._answers = record.blind()
        self._out = record.quarantined()
        self._seen = record.seen()
        self._verdicts = record.count()
        given = record.all()
        self._heard = {(v.token, v.reviewer) for v in given if v.token}
        self._await_outputs(given)
        done = {token for token, _ in self._heard}
        self._frontier = 0
        for asked in record.asked():
            person = self._person(asked.reviewer)
            if asked.draw != self.draw.id:
                if asked.token in done:
                    person.shown.add(asked.sha256)
                continue
            person.shown.add(asked.sha256)
            if asked.token:
                person.asked += 1
                self._asked[asked.token] = asked
                if asked.kind == "repeat":
                    person.repeated.add(asked.sha256)
                if asked.token in done:
                    if asked.kind == "image":
                        person.judged.append((person.asked, asked.sha256))
                    if asked.token in self._seen:
                        person.repeated.add(asked.sha256)
                elif asked.kind != "control" or asked.sha256 in self.controls:
                    person.open[asked.token] = asked
                    self._leases.setdefault(asked.sha256, {})[asked.reviewer] = asked.at
            if asked.kind == "image":
                self._placed.add(asked.position)
        if not self._person("").asked:
            del self._people[""]  # nobody: equal files only
        self._advance()

    def _await_outputs(self, given: Iterable[Verdict]) -> None:
        """Outputs of the sample that nobody whose verdicts count has seen."""
        seen = {v.sha256 for v in given if v.control and v.reviewer not in self._out}
        self._unseen = dict.fromkeys(digest for digest in self.outputs if digest not in seen)

    def _person(self, reviewer: str) -> Person:
        return self._people.setdefault(reviewer, Person())

    def _hash(self, *parts: object) -> float:
        """A number in [0, 1) that the seed and the parts fix."""
        text = "|".join(map(str, (self.draw.seed, *parts)))
        return int.from_bytes(sha256(text.encode()).digest()[:8], "big") / 2**64

    def _question(self, reviewer: str, person: Person, placed: list[Asked]) -> Asked | None:
        u = 0.0 if self.mixture.only_controls else self._hash("mix", reviewer, person.asked)
        limit = 1.0 if self.mixture.only_controls else self.mixture.controls
        if u < limit and (digest := self._control(reviewer, person)):
            return self._make(reviewer, -1, digest, "control")
        if self.mixture.only_controls:
            return None
        after = limit + self.mixture.repeats
        if after <= u < after + self.mixture.outputs and (digest := self._output(person)):
            return self._make(reviewer, -1, digest, "control")
        position = self._image(reviewer, person, placed)
        if position is None:
            # Controls alone would only measure, but a checkpoint may still wait for looks at a model's
            # outputs.
            digest = self._output(person)
            return self._make(reviewer, -1, digest, "control") if digest else None
        if limit <= u < limit + self.mixture.repeats and (digest := self._repeat(reviewer, person)):
            return self._make(reviewer, -1, digest, "repeat")
        return self._make(reviewer, position, self.population.at(int(self._order[position])), "image")

    def _make(self, reviewer: str, position: int, digest: str, kind: Any) -> Asked:
        return Asked(self.draw.id, position, digest, kind, reviewer, secrets.token_urlsafe(16), self._clock())

    def _keep(self, asked: Asked) -> None:
        person = self._person(asked.reviewer)
        person.asked += 1
        person.open[asked.token] = asked
        person.shown.add(asked.sha256)
        self._asked[asked.token] = asked
        if asked.kind == "image":
            self._placed.add(asked.position)
            self._leases.setdefault(asked.sha256, {})[asked.reviewer] = asked.at
        elif asked.kind == "repeat":
            person.repeated.add(asked.sha256)

    def _output(self, person: Person) -> str:
        """An output that nobody has judged, and that this person was not shown."""
        return next((digest for digest in self._unseen if digest not in person.shown), "")

    def _control(self, reviewer: str, person: Person) -> str:
        wanted = "human" if self._hash("truth", reviewer, person.asked) < 0.5 else "ai"
        for truth in (wanted, "ai" if wanted == "human" else "human"):
            for digest in self._control_order[truth]:
                if digest not in person.shown:
                    return digest
        return ""

    def _repeat(self, reviewer: str, person: Person) -> str:
        before = person.asked - self.mixture.repeat_after
        able = [d for at, d in person.judged if at <= before and d not in person.repeated]
        return able[int(self._hash("again", reviewer, person.asked) * len(able))] if able else ""

    def _image(self, reviewer: str, person: Person, placed: list[Asked]) -> int | None:
        """The first position of the order that still needs this person's look."""
        self._advance()
        now = self._clock()
        for position in range(self._frontier, self.draw.n):
            digest = self.population.at(int(self._order[position]))
            need = self._missing(position, digest)
            if need > 0 and digest not in person.shown:
                leases = self._leases.get(digest, {})
                if sum(now - at < self.mixture.lease for at in leases.values()) < need:
                    return position
            elif position not in self._placed and (digest in self._answers or digest in self._leases):
                # An equal file was asked about: its answer speaks for this position as well.
                self._placed.add(position)
                placed.append(Asked(self.draw.id, position, digest, "image", "", "", now))
        return None

    def _missing(self, position: int, digest: str) -> int:
        """How many more people have to look at an image."""
        given = self._answers.get(digest, {})
        if not given:
            return 1
        people = len([name for name in self._people if name])
        if people < 2:
            return 0
        decided = {answer for answer in given.values() if answer != "unsure"}
        if len(decided) != 1:  # contradiction, or nobody dared: a third person, and no fourth
            return max(0, min(3, people) - len(given))
        wanted = 2 if self._hash("overlap", position) < self.mixture.overlap else 1
        return max(0, wanted - len(given))

    def _advance(self) -> None:
        while self._frontier < self.draw.n:
            position = self._frontier
            digest = self.population.at(int(self._order[position]))
            if position not in self._placed or self._missing(position, digest):
                return
            self._frontier += 1

    def _unbroken(self) -> int:
        position = self._frontier
        while position < self.draw.n and position in self._placed:
            if self.population.at(int(self._order[position])) not in self._answers:
                break
            position += 1
        return position

    def _note(self, asked: Asked, reviewer: str, answer: str, *, changed: bool) -> None:
        person = self._person(asked.reviewer)
        person.open.pop(asked.token, None)
        first = (asked.token, reviewer) not in self._heard
        self._heard.add((asked.token, reviewer))
        self._leases.get(asked.sha256, {}).pop(asked.reviewer, None)
        if asked.kind == "control" and reviewer not in self._out:
            self._unseen.pop(asked.sha256, None)
        if asked.kind == "image" and not changed:
            if reviewer not in self._out:
                self._answers.setdefault(asked.sha256, {})[reviewer] = answer
            if first:
                person.judged.append((person.asked, asked.sha256))
