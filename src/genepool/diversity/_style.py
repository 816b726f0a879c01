"""The style diversity index of a set of vectors."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from genepool.diversity._batches import aligned, batches, column
from genepool.diversity._state import SpreadState, StyleState
from genepool.errors import MeasureError
from genepool.records import Estimate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from genepool.diversity._panel import Panel

__all__ = ["StyleEstimate", "find_anchors", "index_of", "second_pass", "style_diversity"]

MOST_ANCHORS = 4096
SECOND_PASS = 4096
METHOD = (
    "ln VS2 / ln {reference:.0f}: order-2 Vendi score (effective number of styles), unbiased, over images on "
    "the support of panel {name}, the rest as one style; U-statistic interval (Hoeffding 1948)"
)


class StyleEstimate(Estimate):
    """The style diversity index with what stands behind it.

    0: one style. 1: as many as a panel-wide set of human art (a broad held-out human set reads about 0.89).

    Attributes:
        styles: Effective number of styles, VS2 = 1 / purity.
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
    ) -> StyleEstimate:
        """From the arguments of `Estimate` and the facts behind it."""
        self = cls(*base)
        self.purity = purity
        self.styles = 1.0 / purity if purity > 0 else math.inf
        self.on_support = on_support
        self.panel = panel
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        facts = (self.purity, self.on_support, self.panel)
        return _rebuild, (self.__getnewargs__(), facts)


def _rebuild(base: tuple[Any, ...], facts: tuple[Any, ...]) -> StyleEstimate:
    purity, on_support, panel = facts
    return StyleEstimate.build(
        base,
        purity=purity,
        on_support=on_support,
        panel=panel,
    )


def style_diversity(
    vectors: Any,
    panel: Panel,
    verified: Any = None,
    weights: Any = None,
    alpha: float = 0.05,
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

    Returns:
        The index with its interval, in [0, 1].

    Raises:
        MeasureError: NaN, fewer than two images, one-shot iterator, lengths that differ.
    """
    if not 0 < alpha < 1:
        raise MeasureError(f"index: expected 0 < alpha < 1, found {alpha}")
    start = batches(vectors)
    checked, weight = column(verified, "verified", bool), column(weights, "weights", float)
    state = StyleState(panel, find_anchors(start, panel, checked))
    for part, (human, multiple) in aligned(start(), checked, weight):
        state.update(part, human, multiple)
    state.purity()  # refuses what has no pairs before the second pass reads everything again
    return index_of(state, second_pass(start, state, checked, weight), alpha)


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
    from scipy.special import stdtrit

    purity = state.purity()
    scale = math.log(state.panel.reference)
    effective = state.weight**2 / (state.squares_on + state.squares_off)
    # A purity of nothing at all (a few unlike images) is only known to be below about one pair's worth.
    floor = 1.0 / max(1.0, effective * (effective - 1.0))
    bounded = max(purity, floor)
    error = spread.deviation() / bounded
    if purity < floor:
        error = max(error, 1.0)
    reach = float(stdtrit(max(1.0, effective - 1.0), 1.0 - alpha / 2.0)) * error
    middle = -math.log(bounded)
    value, lower, upper = (min(1.0, max(0.0, x / scale)) for x in (middle, middle - reach, middle + reach))
    method = METHOD.format(reference=state.panel.reference, name=state.panel.name)
    return StyleEstimate.build(
        (value, lower, upper, state.n, method, alpha),
        purity=purity,
        on_support=state.n_on / state.n,
        panel=state.panel.name,
    )
