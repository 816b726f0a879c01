"""Unique feature retention: what of a reference's many small features is still there in what a model makes.

The reference's vectors are grouped around K prototypes; a set retains a feature in so far as it holds images
near that prototype, and every prototype counts the same, so that rare features weigh as much as common ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from genepool.diversity._batches import batches
from genepool.errors import MeasureError
from genepool.records import Estimate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from genepool.diversity._panel import Panel

__all__ = ["FeatureAtlas", "RetentionEstimate", "feature_retention"]

METHOD = (
    "mean over {k} prototypes (k-means) of min(1, share / reference's share), within each prototype's 95th "
    "percentile radius, relative to {m} held-out reference images at equal n; multinomial bootstrap"
)
# One prototype for every 50 reference images; up to 64 of them for every 10, so that a small reference is
# not summed up in a handful (64 on 600 images: standard deviation 2 to 4 points).
_PER_PROTOTYPE, _PER_FEW, _FEW = 50, 10, 64
_MOST = 1000
_LEAST = 40
_ROUNDS = 1000


class RetentionEstimate(Estimate):
    """Unique feature retention in per cent, with its tail.

    100: as many of the reference's features as a fresh sample of the reference shows. 0: none.

    Attributes:
        tail: The same over the rarest quarter of the prototypes, with its own interval.
        seen: Share of the prototypes of which anything was seen at all, in [0, 1].
        presence: Share of which anything would be seen in a set without end, with its interval: `seen` and
            what those that were met only once or twice say of those that were not met (Good 1953; Chao
            1984).
    """

    __slots__ = ("presence", "seen", "tail")

    tail: Estimate
    seen: float
    presence: Estimate

    @classmethod
    def build(
        cls,
        base: tuple[float, float, float, int, str, float],
        tail: Estimate,
        seen: float,
        presence: Estimate,
    ) -> RetentionEstimate:
        """From the arguments of `Estimate` and the facts behind it."""
        self = cls(*base)
        self.tail, self.seen, self.presence = tail, seen, presence
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return RetentionEstimate.build, (self.__getnewargs__(), self.tail, self.seen, self.presence)

    def to_json(self) -> dict[str, Any]:
        """The estimate with its tail, the share of prototypes seen, and the share that there is."""
        return {
            **super().to_json(),
            "tail": self.tail.to_json(),
            "seen": self.seen,
            "presence": self.presence.to_json(),
        }


class FeatureAtlas:
    """A reference's features: prototypes, how common each is, how far its members lie from it.

    Every third reference image is held out: it says what a fresh sample of the reference would score.

    Args:
        reference: Vectors ``(n, d_raw)`` of the reference, at least 40: an array or batches.
        panel: Whitens the vectors; None: each direction is scaled to unit variance over the reference.
        prototypes: How many; None: one for every 10 reference images up to 64, then one for every 50, at most
            1000.
        seed: Of the grouping.

    Attributes:
        centres: ``(K, d)``.
        shares: ``(K,)`` share of the reference at each; they sum to 1.
        radii: ``(K,)`` 95th percentile of the members' distances.
        held_out: ``(K + 1,)`` counts of the held-out images; the last: near none.

    Raises:
        MeasureError: Too few images, NaN, another width than the panel's.
    """

    def __init__(
        self, reference: Any, panel: Panel | None = None, *, prototypes: int | None = None, seed: int = 0
    ) -> None:
        vectors = _stacked(reference)
        if len(vectors) < _LEAST:
            raise MeasureError(
                f"retention: expected at least {_LEAST} reference images, found {len(vectors)}",
                hint="use a larger reference",
            )
        self._panel = panel
        self._mean = vectors.mean(axis=0)
        spread = vectors.std(axis=0)
        self._scale = np.where(spread > 1e-9, spread, 1.0)
        whitened = self.whiten(vectors)
        held = np.arange(len(whitened)) % 3 == 2
        few = min(_FEW, len(whitened) // _PER_FEW)
        count = prototypes or min(_MOST, max(4, few, len(whitened) // _PER_PROTOTYPE))
        if not 1 <= count <= (~held).sum() // 4:
            raise MeasureError(
                f"retention: expected 1 to {(~held).sum() // 4} prototypes for {(~held).sum()} images, "
                f"found {count}"
            )
        self.centres = _centres(whitened[~held], count, seed)
        near, distance = _nearest(whitened[~held], self.centres)
        counts = np.bincount(near, minlength=count)
        kept = counts > 0
        self.centres, self.shares = self.centres[kept], counts[kept] / counts.sum()
        self.radii = np.array([np.quantile(distance[near == k], 0.95) for k in np.flatnonzero(kept)])
        self.held_out = self.count(vectors[held])

    def whiten(self, vectors: NDArray[Any]) -> NDArray[np.float64]:
        """Vectors in the space where distances are measured."""
        if self._panel is not None:
            return self._panel.whiten(vectors)
        array = np.asarray(vectors, np.float64)
        if array.ndim != 2 or array.shape[1] != len(self._mean) or not np.isfinite(array).all():
            raise MeasureError(
                f"retention: expected finite vectors of shape (n, {len(self._mean)}), found {array.shape}"
            )
        scaled: NDArray[np.float64] = (array - self._mean) / self._scale
        return scaled

    def count(self, vectors: Any) -> NDArray[np.int64]:
        """``(K + 1,)`` images at each prototype, within its radius; the last entry: at none. Sums add up."""
        total = np.zeros(len(self.centres) + 1, np.int64)
        for part in batches(vectors)():
            near, distance = _nearest(self.whiten(part), self.centres)
            near = np.where(distance <= self.radii[near], near, len(self.centres))
            total += np.bincount(near, minlength=len(total))
        return total

    def retention(self, counts: NDArray[np.int64], alpha: float = 0.05, seed: int = 0) -> RetentionEstimate:
        """Retention from counts.

        Both the set and the held-out sample are resampled at the size of the smaller one, because a small
        sample misses rare features whoever drew it.

        Args:
            counts: As `count` returned, or a sum of such.
            alpha: 1 − confidence of the percentile interval.
            seed: Of the bootstrap.

        Raises:
            MeasureError: Nothing was counted.
        """
        n, m = int(counts.sum()), int(self.held_out.sum())
        if not n or counts.shape != self.held_out.shape:
            raise MeasureError(
                f"retention: expected counts at {len(self.centres)} prototypes, found {n} images"
            )
        size = min(n, m)
        rng = np.random.default_rng(seed)
        drawn = rng.multinomial(size, counts / n, _ROUNDS)[:, :-1] / size
        fresh = rng.multinomial(size, self.held_out / m, _ROUNDS)[:, :-1] / size
        rare = np.argsort(self.shares, kind="stable")[: max(1, len(self.shares) // 4)]
        method = METHOD.format(k=len(self.shares), m=m)
        base = (*self._relative(drawn, fresh, size, slice(None), alpha), n, method, alpha)
        tail = Estimate(
            *self._relative(drawn, fresh, size, rare, alpha), n, f"rarest quarter: {method}", alpha
        )
        again = rng.multinomial(n, counts / n, _ROUNDS)[:, :-1]
        return RetentionEstimate.build(
            base, tail, float((counts[:-1] > 0).mean()), _presence(counts[:-1], again, n, alpha)
        )

    def _relative(
        self, drawn: NDArray[np.float64], fresh: NDArray[np.float64], size: int, which: Any, alpha: float
    ) -> tuple[float, float, float]:
        """Per cent of what a fresh sample shows, with its percentile interval."""
        ours, theirs = self._kept(drawn, which), self._kept(fresh, which)
        # A small sample may hold no rare feature: half an image at the commonest one is then the scale.
        shares = self.shares[which]
        least = 0.5 * float(np.minimum(1.0, 1.0 / (size * shares)).min()) / len(shares)
        value = 100.0 * float(ours.mean() / max(float(theirs.mean()), least))
        ratio = 100.0 * ours / np.maximum(theirs, least)
        lower, upper = (float(v) for v in np.quantile(ratio, [alpha / 2, 1 - alpha / 2]))
        return value, min(lower, value), max(upper, value)

    def _kept(self, shares: NDArray[np.float64], which: Any = slice(None)) -> NDArray[np.float64]:
        kept: NDArray[np.float64] = np.minimum(1.0, shares[:, which] / self.shares[which]).mean(axis=1)
        return kept


def _presence(counts: NDArray[np.int64], again: NDArray[np.int64], n: int, alpha: float) -> Estimate:
    """Share of the prototypes that are there at all: those seen and, by Chao's bound, those still hidden.

    What was seen is certain. The hidden share has a log-normal interval (Chao 1987) with the spread of the
    bootstrap ``again``.
    """
    from scipy.special import ndtri

    value, spread = float(_chao(counts[None])[0]), float(np.std(_chao(again), ddof=1))
    seen, quantile = float((counts > 0).mean()), float(ndtri(1.0 - alpha / 2.0))
    hidden = value - seen
    if hidden > 1e-12:
        factor = float(np.exp(min(700.0, quantile * np.sqrt(np.log1p((spread / hidden) ** 2)))))
        lower, upper = seen + hidden / factor, seen + hidden * factor
    else:
        lower, upper = seen, seen + quantile * spread
    method = f"Chao's lower bound (Good 1953; Chao 1984) over {len(counts)} prototypes; log-normal interval"
    return Estimate(value, lower, min(1.0, upper), n, method, alpha)


def _chao(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    once, twice = (counts == 1).sum(axis=1), (counts == 2).sum(axis=1)
    hidden = once * (once - 1) / (2.0 * (twice + 1.0))
    shares: NDArray[np.float64] = np.minimum(1.0, ((counts > 0).sum(axis=1) + hidden) / counts.shape[1])
    return shares


def feature_retention(
    vectors: Any, reference: Any, panel: Panel | None = None, *, alpha: float = 0.05, seed: int = 0
) -> RetentionEstimate:
    """How many of a reference's unique features a set still shows, in per cent.

    Args:
        vectors: Embedder vectors ``(n, d_raw)`` of the set: an array or batches.
        reference: Those of the reference, by the same embedder on pictures of the same size.
        panel: Whitens them; None: unit variance over the reference.
        alpha: 1 − confidence of the interval.
        seed: Of grouping and bootstrap.

    Returns:
        100 when the set is as good as a fresh sample of the reference; can exceed it by chance.

    Raises:
        MeasureError: Fewer than 40 reference images, nothing to measure, NaN.
    """
    atlas = FeatureAtlas(reference, panel, seed=seed)
    return atlas.retention(atlas.count(vectors), alpha, seed)


def _stacked(features: Any) -> NDArray[np.float64]:
    parts = [np.asarray(part, np.float64) for part in batches(features)()]
    return np.concatenate(parts) if parts else np.zeros((0, 0))


def _nearest(
    whitened: NDArray[np.float64], centres: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    half = 0.5 * np.einsum("kd,kd->k", centres, centres)
    near = (whitened @ centres.T - half).argmax(axis=1)
    gap = whitened - centres[near]
    return near, np.sqrt(np.einsum("nd,nd->n", gap, gap))


def _centres(vectors: NDArray[np.float64], count: int, seed: int) -> NDArray[np.float64]:
    """k-means: seeding by squared distance (Arthur & Vassilvitskii 2007), then at most 50 Lloyd rounds."""
    rng = np.random.default_rng(seed)
    centres = [vectors[rng.integers(len(vectors))]]
    far = ((vectors - centres[0]) ** 2).sum(axis=1)
    while len(centres) < count:
        total = far.sum()
        chosen = rng.choice(len(vectors), p=far / total) if total > 0 else rng.integers(len(vectors))
        centres.append(vectors[chosen])
        far = np.minimum(far, ((vectors - centres[-1]) ** 2).sum(axis=1))
    found = np.stack(centres)
    old = np.full(len(vectors), -1)
    for _ in range(50):
        near, _ = _nearest(vectors, found)
        if np.array_equal(near, old):
            break
        old = near
        sums = np.zeros_like(found)
        np.add.at(sums, near, vectors)
        sizes = np.bincount(near, minlength=count)
        found = np.where(sizes[:, None] > 0, sums / np.maximum(sizes, 1)[:, None], found)
    return found
