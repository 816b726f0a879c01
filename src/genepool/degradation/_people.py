"""What people prefer, generation by generation: their votes only. A proxy stands apart, or not at all."""

from __future__ import annotations

import math
import shlex
from typing import TYPE_CHECKING, Any

import numpy as np

from genepool.errors import MeasureError, MissingExtra
from genepool.records import Estimate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from genepool.degradation._measures import Generation
    from genepool.degradation._sets import SampleSet
    from genepool.store import Vote

__all__ = ["add_preference"]


def add_preference(
    rows: Sequence[Generation],
    sets: Sequence[SampleSet],
    *,
    alpha: float,
    ladder: str | Path | None = None,
    tests: bool = False,
) -> list[str]:
    """Fill in ``preference`` and ``proxy`` of each generation, or say what is missing.

    Votes are read from the workspace beside each set, where there is one. They are pooled and fitted
    together: all were given against the same ladder.

    Args:
        rows: Receive the scores, or the reasons why there are none.
        sets: What was read, in the same order.
        alpha: 1 − confidence; scores carry 95 % intervals whatever it is.
        ladder: Folder of the ladder that was voted against; None: the packaged one.
        tests: Count reviewers marked as test data; only ever for tests of this package.

    Returns:
        Notes for people.
    """
    from genepool.review import load_ladder, preference_scores

    votes, quarantined = _votes(sets)
    for row, one in zip(rows, sets, strict=True):
        row.missing["preference"] = f"needs people: {_command(one)}"
    if not votes:
        for row in rows:
            row.missing["proxy"] = "no votes to learn from"
        return []
    rungs = load_ladder(ladder).names
    notes: list[str] = []
    for row, one in zip(rows, sets, strict=True):
        try:
            report = preference_scores(
                votes, rungs, quarantined=quarantined, tests=tests, command=_command(one), of=one.digests
            )
        except MissingExtra as error:
            row.missing["preference"] = f"{error.message}: {error.hint}"
            continue
        if report.needs:
            row.missing["preference"] = report.needs
        elif report.mean is None:
            row.missing["preference"] = f"needs people, nobody voted on this one: {_command(one)}"
        else:
            del row.missing["preference"]
            found = report.mean
            row.measures["preference"] = Estimate(
                found.value, found.lower, found.upper, found.votes, report.method, 0.05
            )
        if report.position.found and not notes:
            notes.append("people favour one side of the screen: see genepool review, page Board")
    notes += _proxy(rows, sets, [v for v in votes if v.reviewer not in quarantined], alpha, tests)
    return notes


def _command(one: SampleSet) -> str:
    place = "PATH" if one.dataset is None else shlex.quote(one.dataset.uri)
    return f"genepool review {place}, page Compare"


def _votes(sets: Sequence[SampleSet]) -> tuple[list[Vote], dict[str, str]]:
    """Votes of all workspaces that exist, each once; nothing is created."""
    from genepool.store import ReviewRecord, find_workspace

    found: dict[tuple[Any, ...], Vote] = {}
    out: dict[str, str] = {}
    places = (find_workspace(one.dataset) for one in sets if one.dataset is not None)
    for place in {place.root: place for place in places if place is not None}.values():
        if not place.reviews.is_file():
            continue
        with ReviewRecord(place) as record:
            for vote in record.votes():
                found[vote.a, vote.b, vote.reviewer, vote.at] = vote
            out.update(record.quarantined())
    return list(found.values()), out


def _proxy(
    rows: Sequence[Generation], sets: Sequence[SampleSet], votes: Sequence[Vote], alpha: float, tests: bool
) -> list[str]:
    """The mean of a learnt stand-in, in standard deviations of the first generation from its mean."""
    from scipy.special import ndtri

    from genepool.review import learn_proxy

    features: Mapping[str, Any] = {
        digest: vector for one in sets for digest, vector in zip(one.digests, one.vectors, strict=False)
    }
    try:
        proxy = learn_proxy(votes, features, tests=tests)
    except MeasureError as error:
        for row in rows:
            row.missing["proxy"] = error.message
        return []
    values = [proxy.rank(one.vectors) for one in sets]
    centre, scale = float(values[0].mean()), max(float(values[0].std(ddof=1)), 1e-12)
    agreement = proxy.agreement
    method = (
        f"proxy learnt from votes: agrees with {agreement.k} of {agreement.n} held-out votes "
        f"[{agreement.lower:.2f}, {agreement.upper:.2f}]; standard deviations of the first generation"
    )
    for row, value in zip(rows, values, strict=True):
        mean = (float(value.mean()) - centre) / scale
        reach = float(ndtri(1 - alpha / 2)) * float(np.std(value, ddof=1)) / scale / math.sqrt(len(value))
        row.measures["proxy"] = Estimate(mean, mean - reach, mean + reach, len(value), method, alpha)
    return [f"the proxy is no judgement of people: {method}"]
