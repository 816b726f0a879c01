"""Everything that can be said of a catalogue's diversity, measured in as few passes as it takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from genepool.diversity._blocks import LEAST as LEAST_GROUPS
from genepool.diversity._catalogue import catalogue_copies, catalogue_labels, style_vectors, verified_human
from genepool.diversity._index import StyleDiversityIndex, distinct_weights
from genepool.diversity._kernel import kernel_distance
from genepool.diversity._manifold import Neighbourhood, neighbourhood
from genepool.diversity._moments import FrechetEstimate, frechet_distance
from genepool.diversity._retention import RetentionEstimate, feature_retention
from genepool.diversity._slices import GroupShares, group_shares, slice_indices
from genepool.diversity._state import StyleState
from genepool.diversity._style import (
    StyleEstimate,
    enough,
    find_anchors,
    index_of,
    second_pass,
    style_diversity,
)
from genepool.diversity._styles import StyleMap, commonness_of, extremes, fill, style_map
from genepool.diversity._vendi import VendiEstimate, vendi_score
from genepool.errors import MeasureError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from genepool.config import Config
    from genepool.diversity._copies import Copies
    from genepool.diversity._panel import Panel
    from genepool.store import Catalogue

__all__ = ["Comparison", "Portrait", "compare", "portrait"]

_LOOKED_AT = 20_000  # images among which the rarest and the commonest are sought


_SLICES = 200  # a decision is sealed in the log: it must not grow with the number of artists


@dataclass(frozen=True, slots=True)
class Comparison:
    """A set against a reference generation, in the panel's directions of style.

    Attributes:
        n: Images of the reference.
        ufr: Unique feature retention, with tail and presence.
        near: Density, coverage, precision and recall.
        frechet: Fréchet distance.
        kernel: Kernel distance.
        lost: The set against the reference's shares of the prototypes: what it has less of.
    """

    n: int
    ufr: RetentionEstimate
    near: Neighbourhood
    frechet: FrechetEstimate
    kernel: Any
    lost: StyleMap

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "n": self.n,
            "ufr": self.ufr.to_json(),
            **self.near.to_json(),
            "frechet": self.frechet.to_json(),
            "kernel": self.kernel.to_json(),
            "lost": self.lost.to_json(),
        }


@dataclass(frozen=True, slots=True)
class Portrait:
    """What a set's diversity is, and where.

    Attributes:
        sdi: The style diversity index, interval over images.
        by_artist: The same with an interval over whole artists; None: fewer than eight are named.
        vendi: Raw order-2 Vendi score of the embedder's vectors, for comparison; None: some have no vector.
        copies: Clusters of copies.
        prototypes: Counts at the panel's prototypes.
        groups: Artists and styles that the sidecar names, counted.
        slices: Column → slice → index.
        rare: Uris of the rarest images (on support, no two copies).
        common: Uris of the commonest.
        looked_at: Images among which these were sought.
        verified: Images that are verified human.
        reference: Against a reference generation; None: there is none.
    """

    sdi: StyleEstimate
    by_artist: StyleEstimate | None
    vendi: VendiEstimate | None
    copies: Copies
    prototypes: StyleMap
    groups: Mapping[str, GroupShares]
    slices: Mapping[str, Mapping[str, StyleEstimate]]
    rare: tuple[str, ...] = ()
    common: tuple[str, ...] = ()
    looked_at: int = 0
    verified: int = 0
    reference: Comparison | None = field(default=None)

    def to_json(self) -> dict[str, Any]:
        """Plain data: ``{"sdi": {...}, "vendi": {...}, "ufr": ...}``; the 200 lowest slices of a column."""
        vendi = self.vendi
        return {
            "sdi": self.sdi.to_json(),
            "sdi_by_artist": None if self.by_artist is None else self.by_artist.to_json(),
            "styles": self.sdi.styles,
            "vendi": None if vendi is None else {**vendi.to_json(), "plug_in": vendi.plug_in, "q": vendi.q},
            "ufr": None if self.reference is None else self.reference.ufr.to_json(),
            "on_support": self.sdi.on_support,
            "near_duplicates": len(self.copies.redundant) / max(1, len(self.copies.labels)),
            "copies": self.copies.counts(),
            "prototypes": self.prototypes.to_json(),
            "groups": {name: found.to_json() for name, found in self.groups.items()},
            "slices": {
                column: {name: e.to_json() for name, e in sorted(found.items(), key=_by_value)[:_SLICES]}
                for column, found in self.slices.items()
            },
            "slices_measured": {column: len(found) for column, found in self.slices.items()},
            "rarest": list(self.rare),
            "commonest": list(self.common),
            "looked_at": self.looked_at,
            "verified_human": self.verified,
            "reference": None if self.reference is None else self.reference.to_json(),
            "panel": self.sdi.panel,
        }


def _by_value(named: tuple[str, StyleEstimate]) -> tuple[float, str]:
    return float(named[1]), named[0]


def portrait(
    catalogue: Catalogue,
    config: Config,
    *,
    verified: NDArray[np.bool_] | None = None,
    copies: Copies | None = None,
    reference: Catalogue | None = None,
) -> Portrait:
    """Measure a catalogue.

    Args:
        catalogue: Live rows of one dataset.
        config: Panel, slices, alpha.
        verified: Verified human images; None: as settled.
        copies: Clusters of copies, where they are known already.
        reference: A reference generation's catalogue.

    Raises:
        MeasureError: Fewer than three different images; vectors of another embedder than the panel's, in
            the set or in the reference; a reference of fewer than 40 images.
    """
    panel, alpha = StyleDiversityIndex(config=config).panel, config.policy.alpha
    vectors, lost = style_vectors(catalogue, panel)
    verified = verified_human(catalogue) if verified is None else verified
    by_vector = config.diversity.copy_vectors
    found = copies or catalogue_copies(catalogue, verified, by_vector=by_vector, config=config)
    weights = distinct_weights(found)
    human = None if verified is None else verified & ~lost
    state = StyleState(panel, find_anchors(vectors, panel, human))
    fill(state, vectors, human, weights)
    enough(state)
    sdi = index_of(state, second_pass(vectors, state, human, weights), alpha)
    labels = {column: catalogue_labels(catalogue, column) for column in config.policy.slices}
    named = {column: names for column, names in labels.items() if any(names)}
    rare, common, looked_at = _looks(catalogue, vectors, state, human, found)
    least = config.policy.slice_min
    return Portrait(
        sdi=sdi,
        by_artist=_by_artist(vectors, panel, human, weights, alpha, named.get("artist")),
        vendi=None
        if lost.any()
        else vendi_score(lambda: (p - panel.mean for p in vectors()), weights=weights),
        copies=found,
        prototypes=style_map(vectors, panel, weights),
        groups={column: group_shares(names, weights) for column, names in named.items()},
        slices={
            column: slice_indices(vectors, panel, names, human, weights, least=least, alpha=alpha)
            for column, names in named.items()
        },
        rare=rare,
        common=common,
        looked_at=looked_at,
        verified=0 if verified is None else int(verified.sum()),
        reference=None if reference is None else compare(catalogue, reference, panel, alpha),
    )


def compare(catalogue: Catalogue, reference: Catalogue, panel: Panel, alpha: float = 0.05) -> Comparison:
    """A set against a reference generation.

    Raises:
        MeasureError: Vectors of another embedder than the panel's on a side, or too few images.
    """
    ours, theirs = _known(catalogue, panel), _known(reference, panel)
    places, others = _places(ours, panel), _places(theirs, panel)
    shares = style_map(theirs, panel).counts
    if not shares.sum():
        raise MeasureError(
            "reference: no image of it lies on the panel's support",
            hint="choose a reference of pictures, or another panel: diversity.panel",
        )
    return Comparison(
        n=reference.n,
        ufr=feature_retention(ours, theirs, panel, alpha=alpha),
        near=neighbourhood(places, others, alpha=alpha),
        frechet=frechet_distance(places, others, alpha=alpha),
        kernel=kernel_distance(places, others, alpha=alpha),
        lost=style_map(ours, panel, shares=shares / shares.sum()),
    )


def _known(catalogue: Catalogue, panel: Panel) -> Callable[[], Iterator[NDArray[np.float32]]]:
    """Vectors of the images that have one."""
    start, lost = style_vectors(catalogue, panel)

    def run() -> Iterator[NDArray[np.float32]]:
        at = 0
        for part in start():
            here = lost[at : at + len(part)]
            at += len(part)
            if not here.all():
                yield part[~here]

    return run


def _places(
    start: Callable[[], Iterator[NDArray[np.float32]]], panel: Panel
) -> Callable[[], Iterator[NDArray[np.float64]]]:
    return lambda: (panel.style(panel.whiten(part)) for part in start())


def _by_artist(
    vectors: Callable[[], Iterator[NDArray[np.float32]]],
    panel: Panel,
    human: NDArray[np.bool_] | None,
    weights: NDArray[np.float64],
    alpha: float,
    artists: list[str] | None,
) -> StyleEstimate | None:
    if not artists or len(set(artists) - {""}) < LEAST_GROUPS:
        return None
    return style_diversity(vectors, panel, human, weights, alpha, artists)


def _looks(
    catalogue: Catalogue,
    vectors: Callable[[], Iterator[NDArray[np.float32]]],
    state: StyleState,
    human: NDArray[np.bool_] | None,
    copies: Copies,
) -> tuple[tuple[str, ...], tuple[str, ...], int]:
    """Rarest and commonest images on support, among at most 20,000 at even distances."""
    step = -(-catalogue.n // _LOOKED_AT)
    common, on = commonness_of(vectors, state, human, copies.weights, step)
    rows = np.flatnonzero(on)
    few, many = extremes(common[rows], copies.labels[::step][rows])
    uris = catalogue.table(["uri"]).column("uri")
    named = [tuple(uris[int(rows[i]) * step].as_py() for i in chosen) for chosen in (few, many)]
    return named[0], named[1], len(common)
