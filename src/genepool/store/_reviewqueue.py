"""The record of who was asked what, in which order: draws, questions, controls, standings, votes, seals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from genepool.errors import WorkspaceError
from genepool.store._verdicts import Verdicts

Kind = Literal["image", "control", "repeat"]


@dataclass(frozen=True, slots=True)
class Draw:
    """A random order over the unverified images of a set, fixed before anybody was asked.

    Attributes:
        id: Its number in this workspace.
        population: SHA-256 (hex) over the digests of the images, in the catalogue's order.
        seed: 32 hex digits; with the population it fixes the order.
        n: Images.
        at: Unix seconds.
        dataset: Where the set lies.
        leaf: Index of its entry in the log; None: not there yet.
        sketch: The smallest digests of the population, 32 bytes each, ascending: two draws whose sketches
            share
            enough are draws of one set.
        scores: SHA-256 (hex) over the scores that an audit along this order may use; empty: none.
        attempt: 1 for the first draw of a set, 2 for the second, …
    """

    id: int
    population: str
    seed: str
    n: int
    at: float
    dataset: str
    leaf: int | None = None
    sketch: bytes = b""
    scores: str = ""
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class Carried:
    """One answer to a control that was given in another workspace.

    Attributes:
        reviewer: Who answered.
        sha256: The control.
        truth: ``human`` or ``ai``.
        answer: What was said.
        at: Unix seconds.
        log: Name of the log in which it stands.
    """

    reviewer: str
    sha256: str
    truth: str
    answer: str
    at: float
    log: str


@dataclass(frozen=True, slots=True)
class Asked:
    """One question put to one reviewer.

    Attributes:
        draw: The draw it belongs to.
        position: Place in the draw's order; −1 for controls and repeats.
        sha256: The image.
        kind: ``image``, ``control`` or ``repeat``; never shown.
        reviewer: Who is asked; empty: nobody had to be, an equal file was answered.
        token: Opaque name of the question; empty where nobody is asked.
        at: Unix seconds.
    """

    draw: int
    position: int
    sha256: str
    kind: Kind
    reviewer: str
    token: str
    at: float


@dataclass(frozen=True, slots=True)
class Vote:
    """A person's preference between two images.

    Attributes:
        a: SHA-256 of the image shown on the left.
        b: SHA-256 of the image shown on the right.
        outcome: ``a``, ``b``, ``tie`` or ``both_bad``.
        reviewer: The person's name; ``test:`` in front marks test data.
        at: Unix seconds.
        seconds: From sight to answer; None: not known.
        session: The sitting.
    """

    a: str
    b: str
    outcome: Literal["a", "b", "tie", "both_bad"]
    reviewer: str
    at: float
    seconds: float | None = None
    session: str = ""

    def to_json(self) -> dict[str, Any]:
        """The fields, in order."""
        return asdict(self)


_DRAW = "id, population, seed, n, at, dataset, leaf, sketch, scores, attempt"
SKETCH = 1024
"""Digests in a sketch."""
_SHARED = 0.1


def same_set(one: bytes, other: bytes) -> bool:
    """Whether two sketches are of one set: at least a tenth of the smaller is in the other.

    Digests are as good as random numbers, so the smallest ones are a random sample that two sets choose alike
    (A. Z. Broder, *On the resemblance and containment of documents*, SEQUENCES 1997). Sets of at most
    `SKETCH` images are compared whole.
    """
    sides = [[held[i : i + 32] for i in range(0, len(held), 32)] for held in (one, other)]
    if not all(sides):
        return False
    # Only below the smaller of the two ends do both sketches hold everything.
    ends = [side[-1] for side in sides if len(side) >= SKETCH]
    end = min(ends) if ends else b"\xff" * 32
    low = [{digest for digest in side if digest <= end} for side in sides]
    return len(low[0] & low[1]) >= max(1.0, _SHARED * min(map(len, low)))


class ReviewRecord(Verdicts):
    """`Verdicts` and everything around them that a review room writes down."""

    # ------------------------------------------------------------------------------------ draws

    def draws(self) -> list[Draw]:
        """Every draw, oldest first."""
        return [Draw(*row) for row in self.rows(f"SELECT {_DRAW} FROM draws ORDER BY id")]  # noqa: S608

    def draw(
        self,
        population: str,
        seed: str,
        n: int,
        at: float,
        dataset: str,
        *,
        sketch: bytes = b"",
        scores: str = "",
    ) -> Draw:
        """The draw over this population: the recorded one if there is one, else a new one with this seed.

        A new one notes how many draws of the same set there were before (`same_set`).
        """
        with self.transaction() as connection:
            query = f"SELECT {_DRAW} FROM draws"  # noqa: S608  # a constant
            row = connection.execute(query + " WHERE population = ?", (population,)).fetchone()
            if row is None:
                before = [Draw(*found) for found in connection.execute(query)]
                # A draw of an older file has no sketch: it counts where the set lies at the same place.
                again = [
                    d for d in before if (same_set(d.sketch, sketch) if d.sketch else d.dataset == dataset)
                ]
                values = (population, seed, n, at, dataset, None, sketch, scores, 1 + len(again))
                cursor = connection.execute(
                    "INSERT INTO draws (population, seed, n, at, dataset, leaf, sketch, scores, attempt) "
                    "VALUES (?,?,?,?,?,?,?,?,?)",
                    values,
                )
                row = (cursor.lastrowid, *values)
        return Draw(*row)

    def drawn(self, number: int, leaf: int) -> None:
        """Note where in the log a draw stands."""
        with self.transaction() as connection:
            connection.execute("UPDATE draws SET leaf = ? WHERE id = ? AND leaf IS NULL", (leaf, number))

    # -------------------------------------------------------------------------------- questions

    def ask(self, asked: Sequence[Asked]) -> None:
        """Record questions before they are shown."""
        with self.transaction() as connection:
            connection.executemany(
                "INSERT INTO queue (draw, position, sha256, kind, reviewer, token, at) "
                "VALUES (?,?,?,?,?,?,?)",
                [(a.draw, a.position, a.sha256, a.kind, a.reviewer, a.token, a.at) for a in asked],
            )

    def asked(self, draw: int | None = None) -> list[Asked]:
        """Questions of one draw, or of all, in the order in which they were put."""
        query = "SELECT draw, position, sha256, kind, reviewer, token, at FROM queue"
        if draw is None:
            return [Asked(*row) for row in self.rows(query + " ORDER BY id")]
        return [Asked(*row) for row in self.rows(query + " WHERE draw = ? ORDER BY id", (draw,))]

    def question(self, digest: str, reviewer: str) -> tuple[str, str, bool, bool] | None:
        """The newest question about an image that was put to this person, or to nobody by name.

        Returns:
            (token, kind, whether its evidence was shown, whether this person answered it already), or None.
        """
        rows = self.rows(
            "SELECT q.token, q.kind, EXISTS (SELECT 1 FROM seen s WHERE s.token = q.token), "
            "EXISTS (SELECT 1 FROM verdicts v WHERE v.token = q.token AND v.reviewer = ?2) "
            "FROM queue q WHERE q.sha256 = ?1 AND q.reviewer IN (?2, '') AND q.token <> '' "
            "ORDER BY q.id DESC LIMIT 1",
            (digest, reviewer),
        )
        return (rows[0][0], rows[0][1], bool(rows[0][2]), bool(rows[0][3])) if rows else None

    def mark_seen(self, token: str, at: float) -> None:
        """Note that the evidence about this question was shown: later answers to it are not blind."""
        with self.transaction() as connection:
            connection.execute("INSERT OR IGNORE INTO seen (token, at) VALUES (?,?)", (token, at))

    def seen(self) -> set[str]:
        """Tokens of the questions whose evidence was shown."""
        return {row[0] for row in self.rows("SELECT token FROM seen")}

    # ------------------------------------------------------------------------------- reviewers

    def add_controls(self, truths: Mapping[str, str], source: str) -> None:
        """Keep control images, digest → ``human`` or ``ai``; what is there already stays as it is.

        Raises:
            WorkspaceError: A digest is known as the opposite.
        """
        known = self.controls()
        for digest, truth in truths.items():
            if known.get(digest, truth) != truth:
                raise WorkspaceError(
                    f"control {digest[:16]}…: expected {known[digest]} as before, found {truth}",
                    hint="the same picture cannot be a human and a machine-made control",
                )
        new = [(digest, truth, source) for digest, truth in truths.items() if digest not in known]
        if new:
            with self.transaction() as connection:
                connection.executemany("INSERT OR IGNORE INTO controls VALUES (?,?,?)", new)

    def carry(self, answers: Sequence[Carried]) -> int:
        """Keep answers to controls that were given in other workspaces, the first per reviewer and control.

        Returns:
            How many were new.
        """
        rows = [(c.reviewer, c.sha256, c.truth, c.answer, c.at, c.log) for c in answers]
        with self.transaction() as connection:
            return sum(
                connection.execute(
                    "INSERT OR IGNORE INTO carried (reviewer, sha256, truth, answer, at, log) "
                    "VALUES (?,?,?,?,?,?)",
                    row,
                ).rowcount
                for row in rows
            )

    def carried(self) -> list[Carried]:
        """Answers to controls that were given in other workspaces, oldest first."""
        query = "SELECT reviewer, sha256, truth, answer, at, log FROM carried ORDER BY at, id"
        return [Carried(*row) for row in self.rows(query)]

    def set_standing(self, reviewer: str, state: str, reason: str, at: float) -> None:
        """Count a reviewer's verdicts from now on, or keep them without counting."""
        with self.transaction() as connection:
            connection.execute(
                "INSERT INTO standings (reviewer, state, reason, at) VALUES (?,?,?,?)",
                (reviewer, state, reason, at),
            )

    # ----------------------------------------------------------------------------------- votes

    def add_vote(self, vote: Vote, *, nonce: str = "") -> bool:
        """Append one preference, durably; the same nonce twice is kept once.

        Returns:
            Whether it was new.
        """
        values = (vote.a, vote.b, vote.outcome, vote.reviewer, vote.at, vote.seconds, vote.session, nonce)
        with self.transaction() as connection:
            cursor = connection.execute(
                "INSERT OR IGNORE INTO votes (a, b, outcome, reviewer, at, seconds, session, nonce) "
                "VALUES (?,?,?,?,?,?,?,?)",
                values,
            )
            return cursor.rowcount == 1

    def votes(self) -> list[Vote]:
        """Every preference, oldest first."""
        query = "SELECT a, b, outcome, reviewer, at, seconds, session FROM votes ORDER BY id"
        return [Vote(*row) for row in self.rows(query)]

    # ----------------------------------------------------------------------------------- seals

    def begin_seal(self, last: int, size: int) -> None:
        """Note, before the log is written, that verdicts up to ``last`` go behind its ``size`` entries."""
        with self.transaction() as connection:
            connection.execute("INSERT INTO seals (last, size) VALUES (?,?)", (last, size))

    def end_seal(self, leaf: int) -> None:
        """Note that the batch last begun stands in the log, its first entry at ``leaf``."""
        with self.transaction() as connection:
            connection.execute("UPDATE seals SET leaf = ? WHERE id = (SELECT max(id) FROM seals)", (leaf,))

    def drop_seal(self) -> None:
        """The batch last begun never reached the log."""
        with self.transaction() as connection:
            connection.execute("DELETE FROM seals WHERE leaf IS NULL AND id = (SELECT max(id) FROM seals)")

    def sealed(self) -> tuple[int, tuple[int, int] | None]:
        """Number of the last verdict in the log, and the batch ``(last, size)`` that was begun after it."""
        done, begun = 0, None
        for last, size, leaf in self.rows("SELECT last, size, leaf FROM seals ORDER BY id"):
            if leaf is None:
                begun = (last, size)
            else:
                done, begun = last, None
        return done, begun
