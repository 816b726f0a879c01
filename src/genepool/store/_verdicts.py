"""People's decisions: appended to SQLite, never changed, on the disk before `add` returns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from genepool.errors import UsageError
from genepool.records import Verdict
from genepool.store._reviewfile import ReviewFile

_FIELDS = (
    "sha256, answer, reviewer, at, control, comment, session, sequence, seconds, uncanny, changed, undo, "
    "repeat, token"
)
_FLAGS = ("uncanny", "changed", "undo", "repeat")


def check_verdict(verdict: Verdict) -> None:
    """Refuse what is no verdict.

    Raises:
        UsageError: Not a 64-digit lower-case hex digest, an unknown answer, or no reviewer named.
    """
    digest = verdict.sha256
    if len(digest) != 64 or set(digest) - set("0123456789abcdef"):
        raise UsageError(f"verdict: expected a SHA-256 of 64 lower-case hex digits, found {digest!r}")
    if verdict.answer not in ("human", "ai", "unsure"):
        raise UsageError(f"verdict: expected human, ai or unsure, found {verdict.answer!r}")
    if not verdict.reviewer:
        raise UsageError("verdict: expected the reviewer's name, found an empty one")


class Verdicts(ReviewFile):
    """All verdicts of a workspace, in the order in which they were given.

    Args:
        where: The workspace, or the SQLite file itself (created when the first verdict is added).
        keep: Keep the file open between calls (for a server).

    Safe to use from several threads and processes (write-ahead logging; writers wait for each other up to
    30 seconds).
    """

    def add(self, verdict: Verdict, *, nonce: str = "") -> bool:
        """Append one verdict; it is on the disk when this returns.

        Args:
            verdict: What the person decided.
            nonce: Names this one decision: the same one sent twice is kept once. Empty: always kept.

        Returns:
            Whether it was new.

        Raises:
            UsageError: Not a 64-digit lower-case hex digest, an unknown answer, or no reviewer named.
            WorkspaceError: The file cannot be written.
        """
        return self.add_all([(verdict, nonce)]) == 1

    def add_all(self, given: Iterable[tuple[Verdict, str]]) -> int:
        """Append several verdicts, all or none; see `add`.

        Returns:
            How many were new.
        """
        rows = []
        for verdict, nonce in given:
            check_verdict(verdict)
            rows.append((*_row(verdict), nonce))
        places = ",".join("?" * 15)
        sql = f"INSERT OR IGNORE INTO verdicts ({_FIELDS}, nonce) VALUES ({places})"  # noqa: S608  # constants
        with self.transaction() as connection:
            return sum(connection.execute(sql, row).rowcount for row in rows)

    def all(self) -> list[Verdict]:
        """Every verdict, oldest first."""
        return [verdict for _, verdict in self.since(0)]

    def since(self, number: int) -> Iterator[tuple[int, Verdict]]:
        """Verdicts after the one of this number, with their numbers, oldest first."""
        query = f"SELECT id, {_FIELDS} FROM verdicts WHERE id > ? ORDER BY id"  # noqa: S608  # a constant
        for row in self.rows(query, (number,)):
            yield row[0], _verdict(row[1:])

    def counted(self) -> list[Verdict]:
        """Every verdict of reviewers who are not quarantined, oldest first."""
        out = self.quarantined()
        return [verdict for verdict in self.all() if verdict.reviewer not in out]

    def quarantined(self) -> dict[str, str]:
        """Reviewers whose verdicts are kept but not counted, and why."""
        found: dict[str, str] = {}
        for reviewer, state, reason in self.rows("SELECT reviewer, state, reason FROM standings ORDER BY id"):
            found.pop(reviewer, None)
            if state == "quarantined":
                found[reviewer] = reason
        return found

    def controls(self) -> dict[str, str]:
        """Control images by digest: ``human`` or ``ai``, as verified."""
        return dict(self.rows("SELECT sha256, truth FROM controls"))

    def sampled(self, draw: int | None = None) -> list[tuple[int, str, str, str]]:
        """Blind verdicts in the recorded random order: what an auditor reads.

        The order was drawn before anybody was asked; only its unbroken beginning counts, because a sample
        from which images are missing is no longer random. A position holds one row per reviewer; the
        verdicts of quarantined reviewers, second looks, controls, minds changed after the evidence was seen,
        and verdicts that nobody was asked for are left out. Where somebody took a verdict back before
        seeing the evidence, the last one counts.

        Args:
            draw: Number of the draw; None: the newest.

        Returns:
            ``(position, sha256, answer, reviewer)``, ordered by position.
        """
        chosen = "SELECT max(id) FROM draws" if draw is None else "SELECT ?"
        query = (
            "SELECT DISTINCT position, sha256 FROM queue "  # noqa: S608  # constants
            f"WHERE kind = 'image' AND draw = ({chosen}) ORDER BY position"
        )
        asked = self.rows(query, () if draw is None else (draw,))
        given = self.blind() if asked else {}
        found: list[tuple[int, str, str, str]] = []
        for place, (position, digest) in enumerate(asked):
            answers = given.get(digest)
            if position != place or not answers:
                break
            found += [(position, digest, answer, reviewer) for reviewer, answer in answers.items()]
        return found

    def blind(self) -> dict[str, dict[str, str]]:
        """Digest → reviewer → the blind answer that counts, as `sampled` defines it, in no random order."""
        out = self.quarantined()
        found: dict[str, dict[str, str]] = {}
        for digest, reviewer, answer in self.rows(
            "SELECT sha256, reviewer, answer FROM verdicts "
            "WHERE token <> '' AND NOT control AND NOT repeat AND NOT changed ORDER BY id"
        ):
            if reviewer not in out:
                found.setdefault(digest, {})[reviewer] = answer
        return found

    def count(self, sha256s: Iterable[str] | None = None) -> int:
        """How many verdicts there are, or how many concern these images (64 hex digits each)."""
        if sha256s is None:
            rows = self.rows("SELECT count(*) FROM verdicts")
            return int(rows[0][0]) if rows else 0
        wanted = set(sha256s)
        per_image = self.rows("SELECT sha256, count(*) FROM verdicts GROUP BY sha256")
        return sum(int(n) for digest, n in per_image if digest in wanted)


def _row(v: Verdict) -> tuple[Any, ...]:
    flags = (v.uncanny, v.changed, v.undo, v.repeat)
    return (v.sha256, v.answer, v.reviewer, v.at, v.control, v.comment, v.session, v.sequence, v.seconds,
            *flags, v.token)  # fmt: skip


def _verdict(r: tuple[Any, ...]) -> Verdict:
    flags = {name: bool(value) for name, value in zip(_FLAGS, r[9:13], strict=True)}
    return Verdict(r[0], r[1], r[2], r[3], bool(r[4]), r[5], r[6], r[7], r[8], token=r[13], **flags)
