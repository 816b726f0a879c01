"""`HumanInLoopValidator`: the seed's fourth face."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from genepool.errors import UsageError
from genepool.records import Verdict
from genepool.review._triage import disagree, still_open, undecided, why_asked

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from genepool.config import Config
    from genepool.prevalence import Certificate
    from genepool.review._mixture import Mixture
    from genepool.review._queue import ReviewQueue
    from genepool.store import Catalogue, ReviewRecord, Workspace

__all__ = ["HumanInLoopValidator", "Question", "ReviewStatus"]

_ANSWERS = ("human", "ai", "unsure")


@dataclass(frozen=True, slots=True)
class Question:
    """One image to show to a person.

    Attributes:
        uri: Where it lies in the dataset (the first of equal files).
        sha256: Its digest, 64 hex digits: what `HumanInLoopValidator.record` wants.
        copies: Files of the set that have these bytes, all settled by one answer.
        status: ``disputed``, ``unknown``, or ``settled`` for a control.
        why: One sentence, to be shown only after the answer: a reviewer judges blind.
    """

    uri: str
    sha256: str
    copies: int
    status: str
    why: str


@dataclass(frozen=True, slots=True)
class ReviewStatus:
    """How far the review of a set has come.

    Attributes:
        n: Readable images.
        settled_human: Images that are verified human.
        settled_ai: Images that are verified machine-made, or computed.
        disputed: Images whose evidence contradicts itself.
        unknown: Images about which nothing decisive is known.
        verdicts: Verdicts on images of this set, controls left out.
        reviewed: Images with at least one.
        disagreed: Images on which reviewers contradict each other.
        waiting: Undecided images that nobody has looked at.
        reviewers: Verdicts by reviewer.
    """

    n: int
    settled_human: int
    settled_ai: int
    disputed: int
    unknown: int
    verdicts: int
    reviewed: int
    disagreed: int
    waiting: int
    reviewers: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        """The fields, in order."""
        return asdict(self)


class HumanInLoopValidator:
    """Collects people's verdicts about a dataset's images.

    Args:
        workspace: Where verdicts are kept; None: the workspace of the dataset that was asked about last.
        config: Settings; None: ``genepool.toml`` of the current folder, else the defaults.
        clock: Unix seconds now.
    """

    def __init__(
        self,
        workspace: str | Path | None = None,
        *,
        config: Config | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.workspace = workspace
        self._config = config
        self._clock = clock
        self._place: Workspace | None = None
        self._catalogue: Catalogue | None = None

    def next_batch(
        self,
        dataset: Any,
        n: int = 20,
        *,
        reviewer: str | None = None,
        order: Literal["random", "triage"] = "random",
    ) -> list[Question]:
        """The images that people should look at next.

        ``random``: in the recorded random order, with controls and repeats mixed in, the only one that a
        certificate may rest on; open questions come again until they are answered.

        ``triage``: those that settle most. Disputed images come first, then those that most files of the set
        repeat, then those about which the evidence is most balanced; ties fall by digest, which is as good as
        a draw and the same every time. Images that have a verdict already are left out, unless reviewers
        contradict each other (then a reviewer who has not looked is asked).

        Args:
            dataset: Anything that `genepool.open` takes.
            n: How many, at least 1.
            reviewer: Leave out what this person has judged.
            order: ``random`` or ``triage``.

        Raises:
            UsageError: n below 1.
            SourceError: Nothing to read.
        """
        wanted: Any = n
        if isinstance(wanted, bool) or not isinstance(wanted, int) or wanted < 1:
            raise UsageError(f"next batch: expected a number of images of at least 1, found {n!r}")
        if order not in ("random", "triage"):
            raise UsageError(f"next batch: expected the order random or triage, found {order!r}")
        origins = self._origins(dataset)
        if order == "random":
            return self._drawn(origins, n, reviewer or "")
        answers = self._answers()
        rows = undecided(origins)
        p = origins.column("p_human").to_numpy()
        uris, status = origins.column("uri").to_pylist(), origins.column("status").to_pylist()
        digests = [digest.hex() for digest in origins.column("sha256").to_pylist()]
        copies = Counter(digests[i] for i in rows)
        first: dict[str, int] = {}
        for i in rows:
            if still_open(answers.get(digests[i], {}), reviewer):
                first.setdefault(digests[i], i)

        def rank(item: tuple[str, int]) -> tuple[bool, int, float, str]:
            digest, i = item
            return status[i] != "disputed", -copies[digest], abs(float(p[i]) - 0.5), digest

        ranked = sorted(first.items(), key=rank)
        return [
            Question(
                uris[i], digest, copies[digest], status[i], why_asked(status[i], copies[digest], float(p[i]))
            )
            for digest, i in ranked[:n]
        ]

    def record(
        self,
        sha256: str | bytes,
        answer: str,
        reviewer: str,
        *,
        comment: str = "",
        control: bool = False,
        dataset: Any = None,
    ) -> Verdict:
        """Keep one person's verdict; it is on the disk when this returns.

        A changed mind is a second verdict; nothing is ever overwritten.

        Args:
            sha256: The image's digest: 32 bytes or 64 hex digits.
            answer: ``human``, ``ai`` or ``unsure``.
            reviewer: The person's name.
            comment: In the person's own words.
            control: The image was a seeded control: it measures the reviewer, not the image.
            dataset: The set it belongs to; None: the one asked about last.

        Raises:
            UsageError: Not a digest, an unknown answer, nobody named, or no workspace to keep it in.
            WorkspaceError: It cannot be written.
        """
        digest: Any = sha256.hex() if isinstance(sha256, bytes) else sha256
        person: Any = reviewer
        if not isinstance(digest, str) or len(digest) != 64 or set(digest.lower()) - set("0123456789abcdef"):
            raise UsageError(f"verdict: expected a SHA-256 of 64 hex digits, found {sha256!r}")
        if answer not in _ANSWERS:
            raise UsageError(f"verdict: expected one of {', '.join(_ANSWERS)}, found {answer!r}")
        if not isinstance(person, str) or not person.strip():
            raise UsageError(
                f"verdict: expected the name of a person, found {reviewer!r}",
                hint="judgements come from people only",
            )
        verdict = Verdict(
            sha256=digest.lower(),
            answer=answer,  # type: ignore[arg-type]  # checked above
            reviewer=reviewer.strip(),
            at=self._clock(),
            control=bool(control),
            comment=comment,
        )
        if dataset is not None:
            self._open(dataset)
        with self._verdicts() as record:
            question = None if control else record.question(verdict.sha256, verdict.reviewer)
            if question is not None:
                token, kind, seen, heard = question
                verdict = replace(
                    verdict,
                    token=token,
                    control=kind == "control",
                    repeat=kind == "repeat",
                    changed=seen,
                    undo=heard and not seen,
                )
            record.add(verdict)
        return verdict

    def certify(self, dataset: Any) -> Certificate:
        """What people's verdicts certify about the human share of a dataset.

        Args:
            dataset: Anything that `genepool.open` takes.

        Returns:
            The certificate against the floor of the policy: its ``ratio`` is the guaranteed share.

        Raises:
            SourceError: Nothing to read.
            CertificateError: The questions do not follow the recorded random order.
            IntegrityError: A log that is read does not verify.
        """
        origins = self._origins(dataset)
        assert self._catalogue is not None  # noqa: S101  # set by _origins
        return self.certificate(self._catalogue, origins)

    def questions(
        self,
        catalogue: Catalogue,
        origins: pa.Table,
        *,
        controls: Mapping[str, str] | None = None,
        mixture: Mixture | None = None,
        keep: bool = False,
    ) -> ReviewQueue:
        """The queue of a scanned and settled set: web room, contact sheets and `next_batch` ask from it.

        Args:
            catalogue: The set.
            origins: What `genepool.origin.settle` returned for it.
            controls: Further controls, digest → ``human`` or ``ai``.
            mixture: Shares of controls, repeats and overlap.
            keep: Keep the review file open, for a server.

        Raises:
            WorkspaceError: The review file cannot be read or written.
        """
        from genepool.review._open import queue

        return queue(
            catalogue.workspace,
            catalogue,
            origins,
            controls=controls,
            mixture=mixture,
            outputs=self._settings().review.checkpoint_outputs,
            keep=keep,
            clock=self._clock,
        )

    def certificate(self, catalogue: Catalogue, origins: pa.Table) -> Certificate:
        """As `certify`, for a set that is scanned and settled already."""
        from genepool.prevalence import certified_ratio

        policy = self._settings().policy
        return certified_ratio(
            catalogue, origins, catalogue.workspace, floor=policy.human_ratio, alpha=policy.alpha
        )

    def verdicts(self, dataset: Any = None) -> list[Verdict]:
        """Every verdict of the workspace, oldest first.

        Args:
            dataset: Whose workspace; None: that of the dataset asked about last, or the one given.

        Raises:
            UsageError: No workspace is known yet.
        """
        if dataset is not None:
            self._open(dataset)
        with self._verdicts() as found:
            return found.all()

    def status(self, dataset: Any) -> ReviewStatus:
        """How far the review of a dataset has come.

        Args:
            dataset: Anything that `genepool.open` takes.

        Raises:
            SourceError: Nothing to read.
        """
        origins = self._origins(dataset)
        answers = self._answers()
        digests = [digest.hex() for digest in origins.column("sha256").to_pylist()]
        status = Counter(origins.column("status").to_pylist())
        human = int(np.count_nonzero(origins.column("human").to_numpy(zero_copy_only=False)))
        mine = set(digests)
        given = [v for v in self.verdicts() if not v.control and v.sha256 in mine]
        open_ = {digests[i] for i in undecided(origins)}
        return ReviewStatus(
            n=origins.num_rows,
            settled_human=human,
            settled_ai=status["settled"] - human,
            disputed=status["disputed"],
            unknown=status["unknown"],
            verdicts=len(given),
            reviewed=sum(digest in answers for digest in digests),
            disagreed=sum(disagree(answers.get(digest, {})) for digest in digests),
            waiting=len(open_ - set(answers)),
            reviewers=dict(sorted(Counter(v.reviewer for v in given).items())),
        )

    # -------------------------------------------------------------------------------- private

    def _open(self, data: Any) -> tuple[Any, Workspace]:
        from genepool import dataset, store

        opened = dataset.open(data)
        self._place = store.workspace_for(opened, self.workspace)
        return opened, self._place

    def _settings(self) -> Config:
        from genepool.config import load

        return self._config or load()

    def _origins(self, data: Any) -> pa.Table:
        from genepool import origin, scan

        opened, place = self._open(data)
        config = self._settings()
        self._catalogue = scan.scan(opened, place, config=config)
        return origin.settle(self._catalogue, place, config)

    def _drawn(self, origins: pa.Table, n: int, reviewer: str) -> list[Question]:
        assert self._catalogue is not None  # noqa: S101  # set by _origins
        opened = self.questions(self._catalogue, origins)
        with opened.record:
            asked = opened.next(reviewer, n)
        digests = [digest.hex() for digest in origins.column("sha256").to_pylist()]
        copies = Counter(digests)
        first = {digest: i for i, digest in reversed(list(enumerate(digests)))}
        uris, status, p = (origins.column(name) for name in ("uri", "status", "p_human"))
        found = []
        for question in asked:
            digest = question.sha256
            i = first[digest]
            word = status[i].as_py()
            why = why_asked(word, copies[digest], float(p[i].as_py()))
            found.append(Question(uris[i].as_py(), digest, copies[digest], word, why))
        return found

    def _verdicts(self) -> ReviewRecord:
        from genepool.store import ReviewRecord, Workspace

        if self._place is None and self.workspace is None:
            raise UsageError(
                "verdicts: expected a workspace, found neither one nor a dataset",
                hint="HumanInLoopValidator(workspace=...), or ask for next_batch(dataset, n) first",
            )
        return ReviewRecord(self._place or Workspace(str(self.workspace)))

    def _answers(self) -> dict[str, dict[str, str]]:
        """Digest → reviewer → last answer, controls left out."""
        found: dict[str, dict[str, str]] = {}
        for verdict in self.verdicts():
            if not verdict.control:
                found.setdefault(verdict.sha256, {})[verdict.reviewer] = verdict.answer
        return found
