"""How many human and machine images each batch gets: whole numbers, so that none rounds below the share."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from genepool.errors import PolicyError

__all__ = ["Layout", "drawn", "lay_out", "least_human"]


@dataclass(frozen=True, slots=True)
class Layout:
    """The batches of one epoch, in global order: step by step, in each step rank by rank.

    Attributes:
        sizes: ``(m,)`` images in each batch.
        machine: ``(m,)`` images among them that are not verified human.
    """

    sizes: NDArray[np.int64]
    machine: NDArray[np.int64]

    @property
    def n(self) -> int:
        """Images in the epoch."""
        return int(self.sizes.sum())


def least_human(size: int, share: float) -> int:
    """The smallest whole number of human images that keeps a batch at or above a share.

    The share is taken as the decimal number that it is written as: 70 % of ten are seven, not eight.
    """
    exact = Fraction(repr(float(share))) * size
    return -int(-exact // 1)


def lay_out(
    human: int, machine: int, batch_size: int, share: float, world_size: int = 1, *, drop_last: bool = False
) -> Layout:
    """Batches for an epoch that may use up to ``human`` and ``machine`` images, each once.

    As many full batches as both pools allow, the same number for every rank; then, unless ``drop_last``, one
    smaller batch for every rank. Machine images are spread evenly; those beyond the share are left out, human
    ones never give way to them. At most ``world_size`` − 1 images that could be placed are not.

    Args:
        human: Human images at hand.
        machine: Other images at hand.
        batch_size: Images in one rank's batch.
        share: Least human share of every batch, in [0, 1].
        world_size: Ranks.
        drop_last: Leave the smaller batch out.

    Raises:
        PolicyError: Not one batch can be filled.
    """
    least = least_human(batch_size, share)
    batches = (human + machine) // batch_size
    if least:
        batches = min(batches, human // least)
    batches -= batches % world_size
    # Full batches take at most their cap of machine images and at least what human images cannot fill.
    taken = min(machine, batches * (batch_size - least))
    sizes, counts = [np.full(batches, batch_size, np.int64)], [_even(taken, batches)]
    human -= batches * batch_size - taken
    machine -= taken
    if not drop_last:
        for size in range(min(batch_size - 1, (human + machine) // world_size), 0, -1):
            least = least_human(size, share)
            if world_size * least <= human:
                rest = min(machine, world_size * (size - least))
                sizes.append(np.full(world_size, size, np.int64))
                counts.append(_even(rest, world_size))
                break
    layout = Layout(np.concatenate(sizes), np.concatenate(counts))
    if not layout.n:
        raise PolicyError(
            f"expected enough images for one batch of {batch_size} on each of {world_size} ranks at a human "
            f"share of {share:g}, found {human:,} human and {machine:,} others",
            hint="use smaller batches, fewer ranks, or more human work",
        )
    return layout


def _even(total: int, places: int) -> NDArray[np.int64]:
    """A total spread over places so that any two differ by at most one."""
    edges = np.arange(places + 1, dtype=np.int64) * total // max(places, 1)
    return np.diff(edges)


def drawn(weights: NDArray[np.float64], count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """``count`` positions in random order, each as often as its weight asks, to the nearest whole numbers.

    Systematic sampling with unequal probabilities (W. G. Madow, Ann. Math. Statist. 20 (1949) 333) over a
    random permutation: position i is drawn floor(c) or ceil(c) times with mean c = count · wᵢ / Σw, so that
    none is drawn twice before its weight entitles it to.
    """
    order = rng.permutation(len(weights))
    total = np.cumsum(weights[order])
    if not len(order) or total[-1] <= 0 or count <= 0:
        return np.zeros(0, np.int64)
    if count == len(order) and weights.min() == weights.max():
        return order.astype(np.int64)
    # One tick in every unit interval; the last sum is put out of the ticks' reach, whatever its rounding.
    edges = total * (count / total[-1])
    last = int(np.flatnonzero(weights[order])[-1])
    edges[last:] = count
    ticks = np.arange(count) + rng.random()
    chosen: NDArray[np.int64] = order[np.searchsorted(edges, ticks, side="right")]
    return rng.permutation(chosen)
