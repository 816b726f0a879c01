"""The index slice by slice, and who is rare: artists, styles and sources against an even share of the set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from genepool.diversity._batches import batches, column, grouped
from genepool.diversity._regrouped import Regrouped
from genepool.diversity._state import SpreadState, StyleState
from genepool.diversity._style import LEAST, StyleEstimate, effective, find_anchors, index_of
from genepool.diversity._vendi import entropy
from genepool.errors import MeasureError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from genepool.diversity._panel import Panel

__all__ = ["GroupShares", "group_shares", "slice_indices"]


@dataclass(frozen=True, slots=True)
class GroupShares:
    """How evenly a set's images are spread over artists, styles or sources.

    Attributes:
        names: Groups, the smallest first.
        counts: Weight of each.
        under: Those that hold less than half of an even share, by more than chance explains (two Poisson
            standard deviations).
        even: The even share: images with a name over groups.
        unnamed: Weight of the images without a name.
        hill: Effective numbers of groups of order 0, 1 and 2 (Hill 1973).
    """

    names: tuple[str, ...]
    counts: tuple[float, ...]
    under: tuple[str, ...]
    even: float
    unnamed: float
    hill: tuple[float, float, float]

    def to_json(self, most: int = 50) -> dict[str, Any]:
        """Counts of the ``most`` smallest and largest groups, and who is under-represented."""
        rows, under = list(zip(self.names, self.counts, strict=True)), set(self.under[:most])
        return {
            "groups": len(rows),
            "even_share": self.even,
            "unnamed": self.unnamed,
            "hill": list(self.hill),
            "under_represented": [{"name": n, "count": c} for n, c in rows if n in under],
            "largest": [{"name": n, "count": c} for n, c in rows[::-1][:most]],
        }


def group_shares(labels: Sequence[str], weights: Any = None) -> GroupShares:
    """Count a set's images by label.

    Args:
        labels: One name an image, "" where there is none.
        weights: ``(n,)`` multiplicities, 1/cluster size for copies; None: all 1.

    Raises:
        MeasureError: Lengths that differ.
    """
    weight = column(weights, "weights", float)
    own = np.ones(len(labels)) if weight is None else weight
    if len(own) != len(labels):
        raise MeasureError(f"groups: {len(labels)} labels beside {len(own)} weights")
    words, inverse = grouped(labels)
    names = np.array(words, object)
    sums = np.bincount(inverse, own, len(names)) if len(names) else np.zeros(0)
    named = np.array([name != "" for name in words], bool)
    unnamed = float(sums[~named].sum())
    names, sums = names[named], sums[named]
    order = np.argsort(sums, kind="stable")
    names, sums = names[order], sums[order]
    total = float(sums.sum())
    even = total / len(names) if len(names) else 0.0
    low = (sums < 0.5 * even) & (even - sums > 2.0 * np.sqrt(even))
    hill = [float(np.exp(entropy(sums / total, q))) if total else 0.0 for q in (0.0, 1.0, 2.0)]
    return GroupShares(
        tuple(map(str, names)),
        tuple(map(float, sums)),
        tuple(map(str, names[low])),
        even,
        unnamed,
        (hill[0], hill[1], hill[2]),
    )


def slice_indices(
    vectors: Any,
    panel: Panel,
    labels: Sequence[str],
    verified: Any = None,
    weights: Any = None,
    *,
    least: int = 30,
    alpha: float = 0.05,
) -> dict[str, StyleEstimate]:
    """The style diversity index of every slice of a set, each with its own interval.

    Args:
        vectors: As in `style_diversity`; read once or twice, however many slices there are.
        panel: The reference.
        labels: One slice's name an image, "" where there is none.
        verified: As in `style_diversity`; verified images of the whole set carry their neighbours in every
            slice.
        weights: As in `style_diversity`.
        least: Smallest slice that is measured, at least three images.
        alpha: 1 − confidence.

    Raises:
        MeasureError: As `style_diversity`.
        WorkspaceError: A set too large for memory finds no room for a temporary file.
    """
    start, checked = batches(vectors), column(verified, "verified", bool)
    weight = column(weights, "weights", float)
    names, inverse = grouped(labels)
    sizes = np.bincount(inverse, minlength=len(names))
    chosen = [k for k in range(len(names)) if names[k] and sizes[k] >= max(LEAST, least)]
    if not chosen:
        return {}
    anchors = find_anchors(start, panel, checked)
    group = np.full(len(names), -1, np.int64)
    group[chosen] = np.arange(len(chosen))
    found: dict[str, StyleEstimate] = {}
    with Regrouped(start, group[inverse], checked, weight) as rows:
        for at, k in enumerate(chosen):
            state: Any = StyleState(panel, anchors)
            _fill(state, rows, at, checked, weight)
            if effective(state) >= LEAST:
                spread: Any = SpreadState(state)
                _fill(spread, rows, at, checked, weight)
                found[str(names[k])] = index_of(state, spread, alpha)
    return found


def _fill(
    state: Any,
    rows: Regrouped,
    group: int,
    checked: NDArray[np.bool_] | None,
    weight: NDArray[np.float64] | None,
) -> None:
    for part, where in rows.batches(group):
        state.update(part, *[None if c is None else c[where] for c in (checked, weight)])
