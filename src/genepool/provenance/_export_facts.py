"""What an export says, gathered once from the logs: images, cohorts, models, sets, decisions, keys.

Names of files, artists and captions lie in the erasable sidecar of a log and are never exported.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genepool.provenance._fold import CLASSES, UNBOUNDED, LogState
from genepool.provenance._lineages import CohortRecord, Interval, ModelRecord
from genepool.provenance._trail import Trail
from genepool.records import Attestation, OriginClass

__all__ = ["About", "Facts", "ImageFact", "day", "gather", "moment", "span"]

_CHUNK = 65_536
SOURCE_KINDS = ("public", "licensed", "third-party", "crawled", "user", "other")


@dataclass(frozen=True, slots=True)
class About:
    """What only the user knows about a set; nothing is made up where a field is empty.

    Attributes:
        name: Of the set.
        description: Of the set.
        license: URL or SPDX expression.
        url: Home page or place of download.
        creator: Person or organisation that publishes the set.
        sources: Cohort → where it was got from, one of `SOURCE_KINDS`, for the EU summary.
        at: Unix seconds that the export is dated to.
    """

    name: str = ""
    description: str = ""
    license: str = ""
    url: str = ""
    creator: str = ""
    sources: Mapping[str, str] = field(default_factory=dict)
    at: int = 0


@dataclass(frozen=True, slots=True)
class ImageFact:
    """What the logs say about one image now.

    ``basis`` is ``checked`` (the last check's conclusion), ``attested`` (a trusted key's claim, or anybody's
    that it is AI) or ``claimed`` (a claim that does not count: the origin is then unknown).
    """

    sha256: str
    pixel: str
    origin: str
    generation: Interval
    basis: str
    cohort: str
    model: str
    parents: tuple[str, ...]
    key: str
    log: str
    index: int

    def to_json(self) -> dict[str, Any]:
        """One line of the JSONL export; every key is always there."""
        return {
            "sha256": self.sha256,
            "pixel": self.pixel,
            "origin": self.origin,
            "generation_lo": self.generation[0],
            "generation_hi": self.generation[1],
            "basis": self.basis,
            "cohort": self.cohort,
            "model": self.model,
            "parents": list(self.parents),
            "key": self.key,
            "log": self.log,
            "index": self.index,
        }


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything an exporter needs.

    Attributes:
        about: The user's words.
        logs: The logs, each audited; the first is the workspace's own.
        cohorts, models: By name.
        n: Images.
        composition: Images by origin class.
        generations: Images by generation ("0", "1", "2-3", "1+").
        dataset: The last set that was checked, with its decision's entry, if any.
        decision: The last decision.
        shas: ``(n, 32)`` uint8, sorted.
    """

    about: About
    trail: Trail
    logs: tuple[LogState, ...]
    cohorts: Mapping[str, CohortRecord]
    models: Mapping[str, ModelRecord]
    n: int
    composition: Mapping[str, int]
    generations: Mapping[str, int]
    dataset: Mapping[str, Any] | None
    decision: Mapping[str, Any] | None
    shas: NDArray[np.uint8]
    _records: tuple[NDArray[np.int64], NDArray[np.int64]]
    _pixels: tuple[NDArray[np.int64], NDArray[np.int64]]

    @property
    def name(self) -> str:
        """The set's name, or the log's."""
        return self.about.name or (self.logs[0].origin if self.logs else "genepool")

    @property
    def description(self) -> str:
        """The user's words, or what was counted."""
        counted = ", ".join(f"{n:,} {origin}" for origin, n in self.composition.items())
        return self.about.description or f"{self.n:,} images with recorded origins: {counted or 'none'}."

    def images(self) -> Iterator[ImageFact]:
        """One fact an image, in the order of their digests."""
        for start in range(0, self.n, _CHUNK):
            chunk = self.shas[start : start + _CHUNK]
            claims = self.trail.attestations([row.tobytes() for row in chunk], [])
            for at, found in enumerate(claims, start):
                yield self._image(at, found)

    def _image(self, at: int, claims: tuple[Attestation, ...]) -> ImageFact:
        # A trusted claim says more than a stranger's; of equals the newest.
        best = max(claims, key=lambda claim: (claim.trusted, claim.index), default=None)
        number, row = int(self._records[0][at]), int(self._records[1][at])
        pixel_log, pixel_row = self.logs[int(self._pixels[0][at])].claims, int(self._pixels[1][at])
        generation: Interval = (0, None)
        origin, basis, log, key, index = OriginClass.UNKNOWN.value, "claimed", "", "", -1
        if best is not None:
            log, key, index = best.log, best.key, best.index
            if best.trusted:
                origin, generation, basis = best.origin, best.generation or (0, None), "attested"
        if number >= 0:
            state = self.logs[number]
            hi = int(state.claims.hi[row])
            origin, basis = CLASSES[state.claims.origin[row]], "checked"
            generation = (int(state.claims.lo[row]), None if hi == UNBOUNDED else hi)
            log, index = state.origin, int(state.claims.index[row])
            key = state.batches[int(state.claims.batch[row])].key.id
        return ImageFact(
            sha256=self.shas[at].tobytes().hex(),
            pixel=pixel_log.pixel[pixel_row].tobytes().hex(),
            origin=origin,
            generation=generation,
            basis=basis,
            cohort=best.cohort if best else "",
            model=best.model if best else "",
            parents=best.parents if best else (),
            key=key,
            log=log,
            index=index,
        )


def gather(trail: Trail, about: About) -> Facts:
    """Collect the facts from logs that were read."""
    logs = trail.logs
    columns = [(n, np.flatnonzero(_counts(state))) for n, state in enumerate(logs)]
    sha = np.concatenate([np.zeros((0, 32), np.uint8), *(logs[n].claims.sha[rows] for n, rows in columns)])
    number = np.concatenate([np.zeros(0, np.int64), *(np.full(len(rows), n) for n, rows in columns)])
    row = np.concatenate([np.zeros(0, np.int64), *(rows for _, rows in columns)]).astype(np.int64)
    role = np.concatenate([np.zeros(0, np.int8), *(logs[n].claims.role[rows] for n, rows in columns)])
    whole = np.ascontiguousarray(sha).view([("digest", "V32")]).reshape(-1)
    _, first, group = np.unique(whole, return_index=True, return_inverse=True)
    group = group.reshape(-1)
    count = len(first)
    records = (np.full(count, -1, np.int64), np.full(count, -1, np.int64))
    # Assignment in this order: the newest record of a log wins, and the workspace's own log comes last.
    checked = np.flatnonzero(role == 1)
    checked = checked[np.lexsort((row[checked], -number[checked]))]
    records[0][group[checked]], records[1][group[checked]] = number[checked], row[checked]
    facts = Facts(
        about=about,
        trail=trail,
        logs=logs,
        cohorts=trail.cohorts,
        models=trail.models,
        n=count,
        composition={},
        generations={},
        dataset=_newest([body for state in reversed(logs) for _, body in state.datasets]),
        decision=_newest([body for state in reversed(logs) for _, body in state.decisions]),
        shas=sha[first],
        _records=records,
        _pixels=(number[first].astype(np.int64), row[first]),
    )
    composition, generations = Counter[str](), Counter[str]()
    for image in facts.images():
        composition[image.origin] += 1
        generations[span(image.generation)] += 1
    object.__setattr__(facts, "composition", dict(composition.most_common()))
    object.__setattr__(facts, "generations", dict(sorted(generations.items())))
    return facts


def _counts(state: LogState) -> NDArray[np.bool_]:
    """Claims that stand: attested, or recorded by a sealed check."""
    claims = state.claims
    sealed = np.zeros(len(state.batches) + 1, np.bool_)
    for number, batch in enumerate(state.batches):
        sealed[number] = batch.role == "check"
    recorded = claims.alive & (claims.role == 1) & (claims.batch >= 0) & sealed[claims.batch]
    stands: NDArray[np.bool_] = claims.attested | recorded
    return stands


def _newest(bodies: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    return bodies[-1] if bodies else None


def span(generation: Interval) -> str:
    """A generation in words: ``1``, ``1-2``, ``1+``."""
    lo, hi = generation
    if hi is None:
        return f"{lo}+"
    return str(lo) if lo == hi else f"{lo}-{hi}"


def moment(at: int) -> str:
    """Unix seconds as an ISO 8601 time in UTC."""
    return datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def day(at: int) -> str:
    """Unix seconds as an ISO 8601 date in UTC."""
    return moment(at)[:10]
