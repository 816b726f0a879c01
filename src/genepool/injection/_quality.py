"""How good the images look: people's votes where they exist, else PIQE, which is a proxy and says so."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from genepool.errors import MissingExtra

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from genepool.dataset import Dataset
    from genepool.store import Catalogue, Workspace

__all__ = ["SAMPLE", "Change", "Quality", "measure_quality", "no_quality", "piqe"]

SAMPLE = 600
"""Images of a set or of a reserve whose PIQE is measured; of more, this many, drawn by their digests."""
_CROP = 256
_VOTED = 0.8
"""Share of the images that must have been voted on for votes to be used."""
_CHUNK = 32
_FILE = "quality.json"
_VERSION = "piqe-256/1"


@dataclass(frozen=True, slots=True, eq=False)
class Quality:
    """Quality of each image, the larger the better.

    Attributes:
        name: ``piqe (proxy)``, ``votes`` or ``none``.
        scale: Largest value: 100 for PIQE (100 − its score), 10 for votes.
        values: ``(n,)``; where not measured, the mean of those measured beside it.
        measured: ``(n,)`` which were measured.
        note: Why there is none; empty where there is.
    """

    name: str
    scale: float
    values: NDArray[np.float64]
    measured: NDArray[np.bool_]
    note: str = ""

    @property
    def known(self) -> bool:
        """Whether anything was measured."""
        return bool(self.measured.any())

    def change(self, before: NDArray[np.intp], after: NDArray[np.intp]) -> Change | None:
        """How the mean would change from one choice of images to another; None where nothing is known."""
        mine, theirs = (rows[self.measured[rows]] for rows in (before, after))
        if not len(mine) or not len(theirs):
            return None
        # Images in both choices bring no uncertainty: only what goes and what comes does.
        weight = np.zeros(len(self.values))
        weight[theirs] += 1.0 / len(theirs)
        weight[mine] -= 1.0 / len(mine)
        moved = np.flatnonzero(weight)
        total = float(weight @ self.values)
        whole = len(mine) == len(before) and len(theirs) == len(after)
        spread = float(self.values[moved].std(ddof=1)) if len(moved) > 1 else 0.0
        error = 0.0 if whole else spread * math.sqrt(float(weight @ weight))
        reach = 1.96 * error
        return Change(
            float(self.values[mine].mean()),
            float(self.values[theirs].mean()),
            total,
            total - reach,
            total + reach,
            len(mine),
            len(theirs),
            self.name,
        )


@dataclass(frozen=True, slots=True)
class Change:
    """A change of mean quality.

    Attributes:
        before, after: Means.
        value, lower, upper: After − before, with its 95 % interval (no width where every image was measured).
        n_before, n_after: Images measured.
        name: Whose quality.
    """

    before: float
    after: float
    value: float
    lower: float
    upper: float
    n_before: int
    n_after: int
    name: str

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {k: getattr(self, k) for k in self.__slots__}


def no_quality(n: int, note: str) -> Quality:
    """Nothing was measured."""
    return Quality("none", 1.0, np.zeros(n), np.zeros(n, bool), note)


def piqe(pixels: NDArray[np.uint8]) -> float:
    """100 − PIQE of the central 256 × 256 pixels at native scale (Venkatanath et al., NCC 2015), in [0, 100].

    Raises:
        MissingExtra: ``pypiqe`` is not installed.
    """
    try:
        from pypiqe import piqe as score
    except ImportError:
        raise MissingExtra(needs="pypiqe", extra="inject") from None
    height, width = pixels.shape[:2]
    top, left = max(0, (height - _CROP) // 2), max(0, (width - _CROP) // 2)
    crop = np.ascontiguousarray(pixels[top : top + _CROP, left : left + _CROP, ::-1])
    if not crop.any() or min(crop.shape[:2]) < 16:
        return 0.0  # one black plane: PIQE calls what is uniform the worst there is
    with np.errstate(invalid="ignore", divide="ignore"):
        found = float(score(crop)[0])
    return 100.0 - min(100.0, max(0.0, found)) if math.isfinite(found) else 0.0


def measure_quality(
    parts: Sequence[tuple[Catalogue, Workspace]], progress: Callable[[int, int], None] | None = None
) -> Quality:
    """Quality of the images of several catalogues, one after the other.

    People's preference scores are taken where at least 80 % of all images have one; else PIQE of each image,
    or of 600 of each catalogue, kept in the workspace by digest.

    Args:
        parts: Catalogues with their places.
        progress: Called as ``progress(done, total)``.
    """
    digests = [[bytes(d).hex() for d in c.table(["sha256"]).column("sha256").to_pylist()] for c, _ in parts]
    everyone = [digest for part in digests for digest in part]
    scores = _votes([place for _, place in parts])
    found = np.array([scores.get(digest, math.nan) for digest in everyone])
    name, scale = "votes", 10.0
    if not len(found) or np.isfinite(found).mean() < _VOTED:
        name, scale = "piqe (proxy)", 100.0
        try:
            found = np.concatenate(
                [_piqe_of(*part, known, progress) for part, known in zip(parts, digests, strict=True)]
            )
        except MissingExtra as missing:
            return no_quality(len(everyone), f"quality was not measured: {missing.hint}")
    measured = np.isfinite(found)
    at = 0
    for part in digests:
        mine = slice(at, at + len(part))
        at += len(part)
        if measured[mine].any():
            found[mine] = np.where(measured[mine], found[mine], float(np.mean(found[mine][measured[mine]])))
    return Quality(name, scale, np.nan_to_num(found), measured)


def _votes(places: Sequence[Workspace]) -> dict[str, float]:
    """Preference scores in [0, 10] that people's votes give, digest → score."""
    from genepool.review import load_ladder, preference_scores
    from genepool.store import ReviewRecord

    found: dict[str, float] = {}
    for place in {str(place.root): place for place in places}.values():
        if not place.reviews.exists():
            continue
        with ReviewRecord(place) as record:
            votes, quarantined = record.votes(), record.quarantined()
        if not votes:
            continue
        try:
            report = preference_scores(votes, load_ladder().names, quarantined=quarantined)
        except MissingExtra:
            continue
        found.update({digest: score.value for digest, score in report.scores.items()})
    return found


def _piqe_of(
    catalogue: Catalogue,
    place: Workspace,
    digests: list[str],
    progress: Callable[[int, int], None] | None,
) -> NDArray[np.float64]:
    known = place.read_json(_FILE) or {}
    kept: dict[str, float] = known.get("values", {}) if known.get("version") == _VERSION else {}
    # By digest: a sample that is the same every time, and that nobody can steer without changing the images.
    chosen = sorted(range(len(digests)), key=digests.__getitem__)[:SAMPLE]
    missing = [i for i in chosen if digests[i] not in kept]
    if missing:
        uris = catalogue.table(["uri"]).column("uri").to_pylist()
        want = {uris[i]: digests[i] for i in missing}
        for done, (uri, pixels) in enumerate(pictures(catalogue.dataset, list(want)), 1):
            kept[want[uri]] = round(piqe(pixels), 4)
            if progress is not None:
                progress(done, len(want))
        place.write_json(_FILE, {"version": _VERSION, "values": kept})
    values = np.full(len(digests), math.nan)
    for i in chosen:
        values[i] = kept.get(digests[i], math.nan)
    return values


def pictures(dataset: Dataset, uris: Sequence[str]) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Some images of a dataset, decoded as the scan does; what cannot be read is left out."""
    import itertools

    from genepool.scan import Refusal, View

    items = dataset.select(uris).items([])
    while chunk := list(itertools.islice(items, _CHUNK)):
        for sample in dataset.source.read(chunk):
            if sample.data is None:
                continue
            try:
                yield sample.item.uri, View(sample, max_pixels=MAX_PIXELS).pixels
            except Refusal:
                continue


MAX_PIXELS = 89_478_485
