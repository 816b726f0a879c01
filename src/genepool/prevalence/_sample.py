"""What was asked and answered, read from the workspace and checked: the plain data behind a certificate."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from genepool.errors import CertificateError
from genepool.prevalence._reviewers import CONTROLS, Reviewer

if TYPE_CHECKING:
    from genepool.records import Verdict
    from genepool.store import Carried, Draw, ReviewRecord

__all__ = ["Look", "Sample", "reviewers_of", "sample_of", "verify_order"]

SECONDS = 4.0
"""Per verdict, where nothing was measured."""


@dataclass(frozen=True, slots=True)
class Look:
    """One image of the random order, and who said what.

    Attributes:
        row: Its row in the table of origins.
        answers: Reviewer → ``human``, ``ai`` or ``unsure``, blind, in the order given.
    """

    row: int
    answers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sample:
    """The answers about one set, in the recorded random order.

    Attributes:
        looks: The order's unbroken beginning.
        reviewers: What controls say about everybody who answered controls.
        judged: Rows that had a verdict before the order was drawn.
        before: All images that had one by then.
        seconds: Median time per verdict.
        note: Why there is no sample; empty: there is one.
        attempt: How many draws of this set were made, this one included.
        scores: SHA-256 (hex) of the detector's scores when the order was drawn; empty: there were none.
    """

    looks: tuple[Look, ...] = ()
    reviewers: Mapping[str, Reviewer] = field(default_factory=dict)
    judged: frozenset[int] = frozenset()
    before: int = 0
    seconds: float = SECONDS
    note: str = ""
    attempt: int = 1
    scores: str = ""


def verify_order(seed: str, n: int) -> NDArray[np.int64]:
    """The order that a draw's seed fixes, computed anew: by 64-bit keys from PCG64's raw stream.

    Args:
        seed: Hex digits.
        n: Images.
    """
    keys = np.asarray(np.random.PCG64(int(seed, 16)).random_raw(n), np.uint64)
    return np.lexsort((np.arange(n), keys)).astype(np.int64)


def sample_of(record: ReviewRecord, digests: Sequence[bytes], unknown: NDArray[np.bool_]) -> Sample:
    """The answers about the unverified images of a set.

    Args:
        record: The workspace's review file.
        digests: ``(n,)`` SHA-256 of every image of the set, in the catalogue's order.
        unknown: ``(n,)`` which images are not verified.

    Raises:
        CertificateError: The questions do not follow the order that was recorded before anybody was asked.
        WorkspaceError: The review file cannot be read.
    """
    given = record.all()
    people = reviewers_of(given, record.controls(), record.carried())
    seconds = [v.seconds for v in given if v.seconds is not None and v.seconds < 600 and not v.changed]
    pace = statistics.median(seconds) if len(seconds) >= 20 else SECONDS
    rows: list[int] = np.flatnonzero(unknown).tolist()
    population = sha256(b"".join(digests[i] for i in rows)).hexdigest()
    draws = record.draws()
    draw = next((d for d in reversed(draws) if d.population == population), None)
    if draw is None:
        note = "the set has changed since its images were drawn" if draws else "nobody has been asked yet"
        return Sample(reviewers=people, seconds=pace, note=note)
    old = {v.sha256 for v in given if not v.control and v.at < draw.at}
    return Sample(
        looks=_looks(record, draw, digests, rows),
        reviewers=people,
        judged=frozenset(i for i in rows if digests[i].hex() in old) if old else frozenset(),
        before=len(old),
        seconds=pace,
        attempt=draw.attempt,
        scores=draw.scores,
    )


def _looks(
    record: ReviewRecord, draw: Draw, digests: Sequence[bytes], rows: Sequence[int]
) -> tuple[Look, ...]:
    asked: dict[int, str] = {}
    for question in record.asked(draw.id):
        if question.kind != "image":
            continue
        if asked.setdefault(question.position, question.sha256) != question.sha256:
            raise CertificateError(
                f"review: expected one image at position {question.position} of draw {draw.id}, found two"
            )
    order, answers = verify_order(draw.seed, draw.n), record.blind()
    if draw.n != len(rows):
        raise CertificateError(f"review: expected {len(rows)} images in draw {draw.id}, found {draw.n}")
    looks = []
    for position in range(draw.n):
        # A sample from which images are missing is no longer random: only the unbroken beginning counts.
        if position not in asked or not (said := answers.get(asked[position])):
            break
        row = rows[int(order[position])]
        if digests[row].hex() != asked[position]:
            raise CertificateError(
                f"review: position {position} of draw {draw.id} shows another image than its seed gives",
                hint="the order was tampered with: no certificate can rest on it",
            )
        looks.append(Look(row, said))
    return tuple(looks)


def reviewers_of(
    verdicts: Sequence[Verdict], truths: Mapping[str, str], carried: Sequence[Carried] = ()
) -> dict[str, Reviewer]:
    """What controls say about each reviewer, so that it may be looked at again and again.

    Each control picture counts once per reviewer, by the last blind answer to the first question about it;
    what was carried over from other sets comes first. Controls go on during the review, and a bound that is
    computed whenever one likes would be wrong more often than it says. So the bounds rest on the first
    100·2^k controls of each kind, k as large as there are, and may use α·2^−(k+1): all epochs together use at
    most α.

    Args:
        verdicts: Every verdict, oldest first.
        truths: Control digest → ``human`` or ``ai``.
        carried: Answers to controls that were given in other workspaces, oldest first.
    """
    known = {**truths, **{c.sha256: c.truth for c in carried}}
    given: dict[str, dict[str, tuple[str, str]]] = {}
    for c in carried:
        if truths.get(c.sha256, c.truth) == c.truth:
            given.setdefault(c.reviewer, {}).setdefault(c.sha256, ("carried", c.answer))
    for v in verdicts:
        if not v.control or v.repeat or v.changed or not v.token or v.sha256 not in truths:
            continue
        mine = given.setdefault(v.reviewer, {})
        if v.sha256 not in mine or mine[v.sha256][0] == v.token:
            mine[v.sha256] = (v.token, v.answer)
    return {name: _reviewer(name, mine, known) for name, mine in given.items()}


def _reviewer(name: str, given: Mapping[str, tuple[str, str]], truths: Mapping[str, str]) -> Reviewer:
    answers = {
        truth: [answer for digest, (_, answer) in given.items() if truths[digest] == truth]
        for truth in ("human", "ai")
    }
    least = min(map(len, answers.values()))
    epoch = (least // CONTROLS).bit_length() - 1
    if epoch >= 0:
        answers = {truth: said[: CONTROLS * 2**epoch] for truth, said in answers.items()}
    human, ai = answers["human"], answers["ai"]
    return Reviewer(
        human_shown=len(human),
        human_right=human.count("human"),
        human_wrong=human.count("ai"),
        ai_shown=len(ai),
        ai_right=ai.count("ai"),
        ai_wrong=ai.count("human"),
        name=name,
        share=2.0 ** -(max(0, epoch) + 1),
    )
