"""The style diversity index of a set of vectors."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from genepool.diversity._batches import aligned, batches, column
from genepool.diversity._blocks import BlockStates
from genepool.diversity._state import SpreadState, StyleState
from genepool.errors import MeasureError
from genepool.records import Estimate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from genepool.diversity._panel import Panel

__all__ = [
    "LEAST",
    "StyleEstimate",
    "effective",
    "enough",
    "find_anchors",
    "index_of",
    "second_pass",
    "style_diversity",
]

MOST_ANCHORS = 4096
SECOND_PASS = 4096
LEAST = 3
"""Images of equal weight that an interval needs."""
METHOD = (
    "ln VS2 / ln {reference:.0f}: order-2 Vendi score (effective number of styles), unbiased, over images on "
    "the support of panel {name}, the rest as one style; {interval}"
)
OVER_IMAGES = "U-statistic interval (Hoeffding 1948)"
OVER_GROUPS = "bootstrap over {count} blocks of whole groups"


class StyleEstimate(Estimate):
    """The style diversity index with what stands behind it.

    0: one style. 1: as many as a panel-wide set of human art (a broad held-out human set reads about 0.89).

    Attributes:
        styles: Effective number of styles, VS2 = 1 / purity; at most as many as there are images.
        purity: Mean squared style similarity of two different images.
        on_support: Share of the images on the panel's support (or verified human).
        panel: Name of the panel.
    """

    __slots__ = ("on_support", "panel", "purity", "styles")

    styles: float
    purity: float
    on_support: float
    panel: str

    @classmethod
    def build(
        cls,
        base: tuple[float, float, float, int, str, float],
        *,
        purity: float,
        on_support: float,
        panel: str,
        most: float = math.inf,
    ) -> StyleEstimate:
        """From the arguments of `Estimate` and the facts behind it; ``most``: images that these are worth."""
        self = cls(*base)
        self.purity = purity
        self.styles = min(most, 1.0 / purity if purity > 0 else math.inf)
        self.on_support = on_support
        self.panel = panel
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        facts = (self.purity, self.on_support, self.panel, self.styles)
        return _rebuild, (self.__getnewargs__(), facts)


def _rebuild(base: tuple[Any, ...], facts: tuple[Any, ...]) -> StyleEstimate:
    purity, on_support, panel, most = facts
    return StyleEstimate.build(
        base,
        purity=purity,
        on_support=on_support,
        panel=panel,
        most=most,
    )


def style_diversity(
    vectors: Any,
    panel: Panel,
    verified: Any = None,
    weights: Any = None,
    alpha: float = 0.05,
    groups: Any = None,
) -> StyleEstimate:
    """The style diversity index of a set, in [0, 1].

    Order-2 Vendi score (Friedman & Dieng 2023; Pasarkar & Dieng 2024) of a Gaussian style kernel, restricted
    to the support of a human reference panel, on a logarithmic scale: clip(ln VS2 / ln VS2_reference, 0, 1).

    Args:
        vectors: Embedder vectors ``(n, d_raw)``: an array, a list of batches, or a function that returns an
            iterator over batches; they are read two or three times.
        panel: The reference; its embedder must have made the vectors.
        verified: ``(n,)`` verified human images: on support wherever they lie, and what is near them too.
        weights: ``(n,)`` multiplicities; 1/cluster size for near-duplicates. None: all 1.
        alpha: 1 − confidence of the interval.
        groups: ``(n,)`` labels of artists or shards. None: the interval is over images, as if each had been
            found by itself. Given: over whole groups (block bootstrap), which is right where a few artists or
            shards brought many images each.

    Returns:
        The index with its interval, in [0, 1].

    Raises:
        MeasureError: NaN, fewer than three different images, fewer than eight groups, one-shot iterator,
            lengths that differ.
    """
    if not 0 < alpha < 1:
        raise MeasureError(f"index: expected 0 < alpha < 1, found {alpha}")
    start = batches(vectors)
    checked, weight = column(verified, "verified", bool), column(weights, "weights", float)
    anchors = find_anchors(start, panel, checked)
    if groups is not None:
        blocks = BlockStates(panel, anchors, groups)
        blocks.fill(start, checked, weight)
        state = blocks.whole()
        enough(state)
        return _finished(
            state,
            blocks.deviation(),
            len(blocks.states) - 1.0,
            OVER_GROUPS.format(count=len(blocks.states)),
            alpha,
        )
    state = StyleState(panel, anchors)
    for part, (human, multiple) in aligned(start(), checked, weight):
        state.update(part, human, multiple)
    enough(state)  # refuses what has no interval before the second pass reads everything again
    return index_of(state, second_pass(start, state, checked, weight), alpha)


def enough(state: StyleState) -> None:
    """Refuse what has no interval.

    Raises:
        MeasureError: Images that are worth fewer than three of equal weight.
    """
    state.purity()
    if (count := effective(state)) < LEAST:
        raise MeasureError(
            f"index: expected at least {LEAST} different images for an interval, found {state.n} "
            f"that count as {count:.1f}",
            hint="add images; copies of one picture count as one",
        )


def effective(state: StyleState) -> float:
    """How many images of equal weight these are worth: (Σw)² / Σw² (Kish 1965)."""
    return state.weight**2 / (state.squares_on + state.squares_off)


def find_anchors(
    start: Callable[[], Iterator[NDArray[Any]]], panel: Panel, verified: NDArray[np.bool_] | None
) -> NDArray[np.float64] | None:
    """Whitened vectors of verified images off the panel's support: they carry new styles in.

    More than 4096 are thinned evenly.
    """
    if verified is None or not verified.any():
        return None
    found = []
    for part, (human,) in aligned(start(), verified):
        whitened = panel.whiten(part[human])
        found.append(whitened[~panel.supported(whitened)])
    anchors = np.concatenate(found) if found else np.zeros((0, panel.projection.shape[1]))
    if len(anchors) > MOST_ANCHORS:
        anchors = anchors[np.linspace(0, len(anchors) - 1, MOST_ANCHORS).astype(int)]
    return anchors


def second_pass(
    start: Callable[[], Iterator[NDArray[Any]]],
    state: StyleState,
    verified: NDArray[np.bool_] | None,
    weights: NDArray[np.float64] | None,
) -> SpreadState:
    """The second pass over every image, or over 4096 of them at even distances."""
    spread = SpreadState(state)
    stride = -(-state.n // SECOND_PASS)
    at = 0
    for part, (human, multiple) in aligned(start(), verified, weights):
        chosen = slice(-at % stride, None, stride)
        at += len(part)
        pick = [None if c is None else c[chosen] for c in (human, multiple)]
        if len(part[chosen]):
            spread.update(part[chosen], *pick)
    return spread


def index_of(state: StyleState, spread: SpreadState, alpha: float = 0.05) -> StyleEstimate:
    """Finish: the index from a first and a second pass, with its two-sided interval.

    The interval is built for ln VS2 (delta method, Student's t with n_effective − 1 degrees of freedom) and
    clipped to [0, 1] like the value.

    Raises:
        MeasureError: Fewer than two images.
    """
    purity, floor = state.purity(), _floor(state)
    error = spread.deviation() / max(purity, floor)
    if purity < floor:
        error = max(error, 1.0)
    return _finished(state, error, effective(state) - 1.0, OVER_IMAGES, alpha)


def _floor(state: StyleState) -> float:
    """A purity of nothing at all (a few unlike images) is only known to be below about one pair's worth."""
    worth = effective(state)
    return 1.0 / max(1.0, worth * (worth - 1.0))


def _finished(state: StyleState, error: float, freedom: float, interval: str, alpha: float) -> StyleEstimate:
    """The estimate, from the standard error of ln purity."""
    from scipy.special import stdtrit

    reach = float(stdtrit(max(1.0, freedom), 1.0 - alpha / 2.0)) * error
    middle, scale = -math.log(max(state.purity(), _floor(state))), math.log(state.panel.reference)
    value, lower, upper = (min(1.0, max(0.0, x / scale)) for x in (middle, middle - reach, middle + reach))
    method = METHOD.format(reference=state.panel.reference, name=state.panel.name, interval=interval)
    return StyleEstimate.build(
        (value, lower, upper, state.n, method, alpha),
        purity=state.purity(),
        on_support=state.n_on / state.n,
        panel=state.panel.name,
        most=effective(state),
    )
