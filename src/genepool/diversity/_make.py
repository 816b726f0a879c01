"""Makes a panel; whatever decides comes from pictures that the part which is judged has not seen."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from genepool.diversity._cluster import balance, cluster, median_distance, nearest, quantile
from genepool.diversity._directions import artefact_axis, style_directions
from genepool.diversity._panel import Panel
from genepool.diversity._style import style_diversity
from genepool.errors import MeasureError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Recipe", "make_panel"]

Groups = Sequence[tuple[str, str]]
LEAST = 200
_SLACK = 5.0  # reach over the distance that keeps the wanted share of the worst left-out source


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a panel is made with.

    Attributes:
        dimensions: Directions of style.
        leading: Numbers of the vector, from the first, in which directions are sought; 0: all. For embedders
            whose numbers are whitened, strongest first: the last ones are mostly noise.
        before: Directions of the plain whitening among which those of style are sought.
        hands: Share of what artists' names say in that search, in [0, 1]; the rest is the identity. 0: plain
            whitening.
        prototypes: At most so many; a third of the images at most.
        frequencies: Random Fourier directions.
        width: Bandwidth as a share of the median distance between two panel images.
        target: What a broad held-out set reads on the index.
        kept: Share of the worst source that either edge of the support keeps when it was left out.
        seed: Of everything that is drawn.
    """

    dimensions: int = 16
    leading: int = 0
    before: int = 32
    hands: float = 0.4
    prototypes: int = 512
    frequencies: int = 256
    width: float = 0.35
    target: float = 0.89
    kept: float = 0.92
    seed: int = 20


def make_panel(
    vectors: Any,
    groups: Groups,
    artefacts: Any = None,
    *,
    name: str,
    embedder: str,
    labels: Sequence[str] = (),
    recipe: Recipe | None = None,
    reference: float | None = None,
    notes: dict[str, Any] | None = None,
) -> Panel:
    """Frozen statistics of a broad set of human pictures.

    Nothing that decides is taken from pictures that the panel has seen: the two edges of the support come
    from whole sources that were left out, the scale from one half of the artists measured by a panel of the
    other. Sources weigh as the root of their size, artists within them as the root of theirs.
    Deterministic.

    Args:
        vectors: ``(n, d_raw)`` embedder vectors, n ≥ 200.
        groups: n pairs (source, artist); the artist may be "".
        artefacts: ``(a, d_raw)`` vectors of noise (`artefact_vectors`); None: no artefact axis, and the
            embedder alone must keep noise away from pictures.
        name: Of the panel, with its version.
        embedder: ``name@version`` of the embedder.
        labels: n names of styles; a prototype is called after the commonest of its members.
        recipe: Sizes and shares; None: the packaged panel's.
        reference: Effective number of styles that scores 1; None: from held-out halves, as above.
        notes: Goes into the panel as it is.

    Raises:
        MeasureError: Too few images, NaN, lengths that differ, fewer than two sources.
    """
    recipe = recipe or Recipe()
    x = np.asarray(vectors, np.float64)
    noise = None if artefacts is None else np.asarray(artefacts, np.float64)
    _check(x, groups, noise, labels)
    facts = dict(notes or {})
    if reference is None:
        facts["held_out"] = _held_out(x, groups, noise, recipe, name, embedder)
        logs = [math.log(half["styles"]) for half in facts["held_out"]]
        reference = math.exp(float(np.mean(logs)) / recipe.target)
    facts |= {
        "images": len(x),
        "sources": dict(sorted(Counter(s for s, _ in groups).items())),
        "recipe": {f: getattr(recipe, f) for f in Recipe.__slots__},
    }
    return _fit(x, groups, noise, recipe, name, embedder, reference, labels, facts)


def _held_out(
    x: NDArray[np.float64],
    groups: Groups,
    noise: NDArray[np.float64] | None,
    recipe: Recipe,
    name: str,
    embedder: str,
) -> list[dict[str, float]]:
    """What a panel of one half of the artists says of the other, both ways round."""
    found = []
    first = _halves(groups, recipe.seed)
    for half in (first, ~first):
        ours, theirs = _pick(groups, half), _pick(groups, ~half)
        panel = _fit(x[half], ours, noise, recipe, name, embedder, 1e6)
        held = style_diversity(x[~half], panel, weights=balance(theirs) * len(theirs))
        found.append({"styles": 1.0 / held.purity, "on_support": held.on_support})
    return found


def _check(x: NDArray[Any], groups: Groups, noise: NDArray[Any] | None, labels: Sequence[str]) -> None:
    if x.ndim != 2 or len(x) != len(groups) or (labels and len(labels) != len(x)):
        raise MeasureError(
            f"panel: expected as many vectors, groups and labels, found {x.shape}, {len(groups)} and "
            f"{len(labels)}"
        )
    if len(x) < LEAST:
        raise MeasureError(
            f"panel: expected at least {LEAST} human pictures, found {len(x)}",
            hint="a panel is a broad set: many sources, styles and artists",
        )
    if len({s for s, _ in groups}) < 2:
        raise MeasureError(
            "panel: expected pictures of at least two sources, because the edge of the support is found by "
            "leaving one out",
            hint="name them in the sidecar (source), or put each into a folder of its own",
        )
    if not np.isfinite(x).all() or (noise is not None and not np.isfinite(noise).all()):
        raise MeasureError(
            "panel: vectors hold NaN or infinity", hint="leave those pictures out, with a reason"
        )
    if noise is not None and (noise.ndim != 2 or noise.shape[1] != x.shape[1] or len(noise) < 10):
        raise MeasureError(f"panel: expected artefact vectors of width {x.shape[1]}, found {noise.shape}")


def _pick(groups: Groups, chosen: NDArray[np.bool_]) -> list[tuple[str, str]]:
    return [g for g, c in zip(groups, chosen, strict=True) if c]


def _fit(
    x: NDArray[np.float64],
    groups: Groups,
    noise: NDArray[np.float64] | None,
    recipe: Recipe,
    name: str,
    embedder: str,
    reference: float,
    labels: Sequence[str] = (),
    notes: dict[str, Any] | None = None,
) -> Panel:
    weights = balance(groups)
    lead = min(recipe.leading or x.shape[1], x.shape[1])
    _, found, shrinkage = style_directions(
        x[:, :lead], weights, groups, recipe.before, recipe.dimensions, recipe.hands
    )
    mean, style = weights @ x, np.zeros((x.shape[1], found.shape[1]))
    style[:lead] = found
    z = (x - mean) @ style
    centres, near, distance = cluster(z, weights, min(recipe.prototypes, len(x) // 3), recipe.seed)
    reach, limit, axis = _edges(x, z, groups, noise, recipe)
    projection = style if axis is None else np.column_stack([style, axis])
    count = len(centres)
    shares: NDArray[np.float64] = np.bincount(near, weights, count).astype(np.float64)
    radii = [
        quantile(distance[near == k], weights[near == k], 0.95) if (near == k).any() else 0.0
        for k in range(count)
    ]
    if axis is not None:
        along = np.bincount(near, weights * ((x - mean) @ axis), count) / np.maximum(shares, 1e-300)
        centres = np.column_stack([centres, along])
    named = {"prototypes": _names(near, count, labels)} if labels else {}
    return Panel(
        name=name,
        embedder=embedder,
        mean=mean,
        projection=projection,
        prototypes=centres,
        shares=shares,
        radii=np.array(radii),
        reach=reach,
        frequencies=_frequencies(recipe.frequencies, z.shape[1], recipe.seed),
        bandwidth=recipe.width * median_distance(z, weights, recipe.seed),
        reference=reference,
        limit=limit,
        notes={**(notes or {}), **named, "shrinkage": shrinkage},
    )


def _edges(
    x: NDArray[np.float64],
    z: NDArray[np.float64],
    groups: Groups,
    noise: NDArray[np.float64] | None,
    recipe: Recipe,
) -> tuple[float, float, NDArray[np.float64] | None]:
    """Reach and limit: where the worst left-out source still has the wanted share inside."""
    sources = np.array([s for s, _ in groups])
    reaches, places = [], []
    for source in sorted(set(sources.tolist())):
        out = sources == source
        rest = balance(_pick(groups, ~out))
        centres, _, _ = cluster(
            z[~out], rest, min(recipe.prototypes, int((~out).sum()) // 3), recipe.seed, 12
        )
        reaches.append(float(np.quantile(nearest(z[out], centres)[1], recipe.kept)))
        if noise is not None:
            axis, middle, _ = artefact_axis(x[~out], rest, noise)
            places.append(float(np.quantile((x[out] - middle) @ axis, recipe.kept)))
    if noise is None:
        return max(reaches), math.inf, None
    axis, middle, apart = artefact_axis(x, balance(groups), noise)
    # The axis keeps noise out, so reach may be generous: a source that nobody has seen can lie farther still.
    reach = _SLACK * max(reaches)
    # Between the worst source's edge and nine tenths of the noise, a quarter of the way; noise comes first.
    edge, start = max(places), float(np.quantile((noise - middle) @ axis, 0.05))
    limit = edge + 0.25 * (start - edge) if edge < start else start
    return reach, min(limit, apart), axis


def _names(near: NDArray[np.intp], count: int, labels: Sequence[str]) -> list[str]:
    members: list[Counter[str]] = [Counter() for _ in range(count)]
    for k, label in zip(near.tolist(), labels, strict=True):
        if label:
            members[k][label] += 1
    return [c.most_common(1)[0][0] if c else "" for c in members]


def _frequencies(count: int, dimensions: int, seed: int) -> NDArray[np.float64]:
    """Orthogonal random features (Yu et al. 2016): blocks of orthogonal directions with Gaussian lengths."""
    rng = np.random.default_rng(seed)
    blocks = []
    for _ in range(-(-count // dimensions)):
        q, r = np.linalg.qr(rng.standard_normal((dimensions, dimensions)))
        lengths = np.sqrt(rng.chisquare(dimensions, dimensions))
        blocks.append((q * np.sign(np.diag(r))).T * lengths[:, None])
    return np.concatenate(blocks)[:count]


def _halves(groups: Groups, seed: int) -> NDArray[np.bool_]:
    """One half of the artists; of sources without names, every second image."""
    rng = np.random.default_rng(seed)
    named = sorted({g for g in groups if g[1]})
    chosen = {named[i] for i in rng.permutation(len(named))[: len(named) // 2]}
    seen: Counter[str] = Counter()
    first = []
    for source, artist in groups:
        seen[source] += 1
        first.append((source, artist) in chosen if artist else seen[source] % 2 == 0)
    return np.array(first)
