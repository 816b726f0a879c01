"""Everything that is measured of one generation."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from genepool.degradation._amplify import Marks
from genepool.degradation._neighbours import closeness, distance
from genepool.degradation._rarefied import Kept, own_error, ratio
from genepool.errors import MeasureError
from genepool.records import Estimate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from genepool.degradation._sets import SampleSet
    from genepool.degradation._space import Space

__all__ = ["Bench", "Generation"]

_OUTER = 0.90


@dataclass(frozen=True, slots=True)
class Generation:
    """One generation and what was measured of it.

    Attributes:
        name: For people.
        n: Pictures measured.
        found: Pictures there were.
        aside: Pictures that could not be read.
        sides: Median, smallest and largest short side in pixels; zeros: vectors were given.
        human: Fresh human share of its training set, where it was said.
        measures: Name → estimate; see `genepool.degradation.MEASURES`.
        missing: Name → why it is not in ``measures``.
        spectrum: ``(24,)`` radial spectrum, log10 of power; empty: vectors were given.
    """

    name: str
    n: int
    found: int
    aside: int
    sides: tuple[int, int, int]
    human: float | None
    measures: dict[str, Estimate] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    spectrum: tuple[float, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "name": self.name,
            "n": self.n,
            "found": self.found,
            "aside": self.aside,
            "sides": list(self.sides),
            "human": self.human,
            "measures": {name: found.to_json() for name, found in self.measures.items()},
            "missing": dict(self.missing),
            "spectrum": list(self.spectrum),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any], alpha: float) -> Generation:
        """Back from plain data."""
        measures = {}
        for name, row in data["measures"].items():
            value, lower, upper = (
                math.nan if row[k] is None else row[k] for k in ("value", "lower", "upper")
            )
            measures[name] = Estimate(value, lower, upper, row["n"], row["method"], alpha)
        low, middle, high = data["sides"]
        return cls(
            data["name"],
            data["n"],
            data["found"],
            data["aside"],
            (low, middle, high),
            data["human"],
            measures,
            dict(data["missing"]),
            tuple(data["spectrum"]),
        )


class Bench:
    """Measures sets against one reference, all at the same number of pictures.

    Args:
        space: The reference.
        first: The first generation, to which others are compared.
        size: Pictures at which measures that depend on n are taken.
        alpha: 1 − confidence.
        seed: Of bootstraps.

    Attributes:
        errors: Standard error of ``retention_first`` from each measured set's own pictures, in order.
    """

    def __init__(self, space: Space, first: SampleSet, size: int, alpha: float, seed: int) -> None:
        self.space, self.size, self.alpha, self.seed = space, size, alpha, seed
        self.first = first
        self.errors: list[float] = []
        self._marks = None if space.artefacts is None else Marks(space.artefacts, alpha, seed)
        atlas = space.atlas
        self._tail = np.argsort(atlas.shares, kind="stable")[: max(1, len(atlas.shares) // 4)]
        # Of a fresh sample, too, some lie near no prototype: radii were drawn around the members themselves,
        # the tighter the fewer those are. Without this, crowding into the common features would make up for
        # that.
        near = 1.0 - atlas.held_out[-1] / atlas.held_out.sum()
        self._expected: NDArray[np.float64] = atlas.shares * max(float(near), 1.0 / len(atlas.shares))
        self._fresh = self._kept(atlas.held_out)
        self._first = self._kept(atlas.count(first.vectors))
        self._outer = float(np.quantile((space.yardstick**2).sum(axis=1), _OUTER))

    def measure(self, given: SampleSet, human: float | None, *, first: bool = False) -> Generation:
        """All measures of one set."""
        row = Generation(
            given.name, given.n, given.found, given.aside, given.sides, human, spectrum=given.spectrum
        )
        whitened = self.space.panel.whiten(given.vectors)
        self._retention(row, given)
        self._diversity(row, given)
        self._near(row, whitened)
        row.measures["variance"] = self._variance(whitened)
        row.measures["outliers"] = self._outliers(whitened)
        self._artefacts(row, given, first)
        return row

    def _kept(self, counts: NDArray[np.int64]) -> Kept:
        return Kept(counts, self._expected, self.size)

    def _retention(self, row: Generation, given: SampleSet) -> None:
        atlas = self.space.atlas
        counts = atlas.count(given.vectors)
        kept = self._kept(counts)
        text = (
            f"mean over {len(atlas.shares)} prototypes{{}} of min(1, share / expected share), relative to "
            f"{{}}, rarefied to {self.size} pictures; jackknife"
        )
        fresh = f"{int(atlas.held_out.sum())} held-out reference pictures"
        first = f"the {self.first.n} pictures of {self.first.name}"
        every = slice(None)
        for name, other, which, words in (
            ("retention", self._fresh, every, text.format("", fresh)),
            ("tail", self._fresh, self._tail, text.format(" (the rarest quarter)", fresh)),
            ("retention_first", self._first, every, text.format("", first)),
        ):
            found = ratio(kept, other, which, given.n, words, self.alpha)
            if found is None:
                row.missing[name] = (
                    "the held-out reference shows none of it: give more reference pictures"
                    if other is self._fresh
                    else "the first generation shows nothing of the reference"
                )
            else:
                row.measures[name] = found
        self.errors.append(own_error(kept, self._first))

    # -------------------------------------------------------------------------------- other measures

    def _near(self, row: Generation, whitened: NDArray[np.float64]) -> None:
        size = min(self.size, len(whitened))
        row.measures["coverage"], row.measures["density"] = closeness(
            self.space.yardstick, whitened, size, self.alpha
        )
        try:
            row.measures["frechet"] = distance(self.space.yardstick, whitened, self.alpha)
        except MeasureError as error:  # a held-out third of a small reference
            row.missing["frechet"] = error.message

    def _diversity(self, row: Generation, given: SampleSet) -> None:
        from genepool.diversity import style_diversity

        row.measures["diversity"] = style_diversity(given.vectors, self.space.panel, alpha=self.alpha)

    def _variance(self, whitened: NDArray[np.float64]) -> Estimate:
        """Total variance over the reference's: 1 as varied as human work."""
        from scipy.special import ndtri

        value, error = _total(whitened)
        base, base_error = _total(self.space.yardstick)
        ratio = value / base
        reach = float(ndtri(1 - self.alpha / 2)) * math.hypot(error / max(value, 1e-300), base_error / base)
        method = (
            f"total variance in {whitened.shape[1]} directions of the reference over the reference's; normal "
            "interval on the logarithm"
        )
        return Estimate(
            ratio, ratio * math.exp(-reach), ratio * math.exp(reach), len(whitened), method, self.alpha
        )

    def _outliers(self, whitened: NDArray[np.float64]) -> Estimate:
        """Share of unusual pictures that are still pictures: outermost tenth of the reference, on support."""
        from genepool.stats import clopper_pearson

        far = (whitened**2).sum(axis=1) > self._outer
        count = int((far & self.space.panel.supported(whitened)).sum())
        lower, upper = clopper_pearson(count, len(whitened), self.alpha)
        method = (
            "share beyond the reference's 90th percentile of distance from its mean, and on its support; "
            "exact binomial interval"
        )
        return Estimate(count / len(whitened), lower, upper, len(whitened), method, self.alpha)

    def _artefacts(self, row: Generation, given: SampleSet, first: bool) -> None:
        if self._marks is None or given.artefacts is None or self.first.artefacts is None:
            row.missing.update(dict.fromkeys(("artefact", "amplification"), "vectors were given, no pixels"))
            return
        row.measures["artefact"] = self._marks.shift(given.artefacts)
        grown = self._marks.amplification(self.first.artefacts, given.artefacts)
        if grown is None:
            row.missing["amplification"] = "the first generation shows no marks that can be told from none"
        elif first:
            row.measures["amplification"] = Estimate(1.0, 1.0, 1.0, given.n, grown.method, self.alpha)
        else:
            row.measures["amplification"] = grown


def _total(points: NDArray[np.float64]) -> tuple[float, float]:
    """Trace of the covariance and its standard error."""
    square = ((points - points.mean(axis=0)) ** 2).sum(axis=1)
    n = len(points)
    return float(square.sum() / (n - 1)), float(square.std(ddof=1) / math.sqrt(n))
