"""`plot`: the picture of an object, as a matplotlib figure."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from genepool.errors import GenepoolError, UsageError
from genepool.records import HEADINGS, Decision, Estimate, Measure, RatioEstimate
from genepool.report import _figures, _gallery, _plot, _style
from genepool.report._svg import PALETTE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from genepool.store import Catalogue

__all__ = ["plot"]

Pictures = dict[str, Callable[[], "Figure"]]


def plot(obj: Any, kind: str = "") -> Figure:
    """A matplotlib figure of whatever has a picture.

    Args:
        obj: One of the objects below; the first kind is the default.
            `Decision`: ``numbers`` (every share with its interval and bound), ``origins``, ``generations``,
            ``pedigree``, ``history`` (the index check by check).
            `Estimate`, `RatioEstimate`: the number with its interval.
            Table of origins (`genepool.origin.settle`): how the origins are known.
            `Catalogue` (`genepool.scan.scan`): ``styles`` (the map), ``gallery`` (rarest and commonest).
            `Pedigree` or its description (``genepool.lineage.describe``): the ancestry.
            `DegradationReport`: ``generations``, ``mechanisms``, ``spectrum``, ``forecast``.
            `CostReport`: ``retention``, ``value``, ``costs``, ``tornado``.
            Result of `genepool.lab.run` (``result.json``): one kind per study and exchange.
        kind: Which picture; empty: the first that there is.

    Returns:
        A `matplotlib.figure.Figure` made without pyplot: ``figure.savefig("x.pdf")``, or shown by a notebook.

    Raises:
        UsageError: Nothing is known about how to draw the object, or it has no such picture.
        MeasureError: Plain data of another version.
    """
    pictures = _pictures(obj)
    if not pictures:
        raise UsageError(
            f"plot: there is nothing to draw of this {type(obj).__name__}",
            hint="it takes a Decision, an estimate, a table of origins, a catalogue, a pedigree, "
            "or a degradation, cost or lab result",
        )
    if kind and kind not in pictures:
        raise UsageError(
            f"plot: this {type(obj).__name__} has no picture {kind!r}", hint="one of " + ", ".join(pictures)
        )
    return pictures[kind or next(iter(pictures))]()


def _pictures(obj: Any) -> Pictures:
    if isinstance(obj, Decision):
        return _decision(obj)
    if isinstance(obj, RatioEstimate):
        ratio = Measure("ratio", "human share", obj.point, obj.lower, obj.upper, obj.n, obj.method)
        return {"interval": lambda: _plot.intervals([ratio])}
    if isinstance(obj, Estimate):
        one = Measure("estimate", "estimate", obj.value, obj.lower, obj.upper, obj.n, obj.method)
        return {"interval": lambda: _plot.intervals([one])}
    if "tier" in getattr(obj, "column_names", ()):
        colours = {tier: PALETTE[f"tier-{tier}"] for tier in _plot.TIERS}
        return {"tiers": lambda: _plot.bars(_plot.tier_counts(obj), colours)}
    if isinstance(obj, Mapping):
        return _plain(obj)
    from genepool.store import Catalogue

    if isinstance(obj, Catalogue):
        return _catalogue(obj)
    return _others(obj)


def _decision(decision: Decision) -> Pictures:
    shares = [
        dataclasses.replace(m, title=HEADINGS.get(m.name, m.title))
        for m in decision.measures.values()
        if not _plot.whole_numbers(m)
    ]
    found: Pictures = {"numbers": lambda: _plot.intervals(shares)}
    tiers, generations = decision.extra.get("origins"), decision.extra.get("generations")
    if isinstance(tiers, Mapping) and tiers:
        ordered = {tier: int(tiers.get(tier, 0)) for tier in _plot.TIERS}
        colours = {tier: PALETTE[f"tier-{tier}"] for tier in _plot.TIERS}
        found["origins"] = lambda: _plot.bars(ordered, colours)
    if isinstance(generations, Mapping) and generations:
        line = decision.measures.get("generation")
        most = int(line.bound) if line is not None and line.bound is not None else None
        counts = {str(k): int(n) for k, n in generations.items()}
        found["generations"] = lambda: _plot.generations(counts, most)
    lineage = decision.extra.get("lineage")
    if isinstance(lineage, Mapping) and lineage.get("nodes"):
        found["pedigree"] = lambda: _figures.pedigree(lineage)
    from genepool.report._history import points

    if past := points(decision):
        index = decision.measures.get("diversity")
        floor = index.bound if index is not None else None
        found["history"] = lambda: _figures.over_time(past, floor, "style diversity index")
    return found


def _catalogue(catalogue: Catalogue) -> Pictures:
    view = _style.look(catalogue, catalogue.origins())
    if view is None:
        return {}

    def gallery() -> Figure:
        rows = _extremes(catalogue) or {"rarest": view.rare, "commonest": view.common}
        wanted = [uri for uris in rows.values() for uri in uris]
        made = _gallery.thumbnails(catalogue, wanted, limit=len(wanted), room=10**7)
        return _figures.gallery(
            {
                title: [(uri, base64.b64decode(made.get(uri, "").partition(",")[2])) for uri in uris]
                for title, uris in rows.items()
            }
        )

    return {"styles": lambda: _plot.style_map(view.points, view.groups), "gallery": gallery}


def _extremes(catalogue: Catalogue) -> dict[str, tuple[str, ...]]:
    """The rarest and the commonest images, as a check finds them; empty where there are too few."""
    import numpy as np

    from genepool.config import Config
    from genepool.diversity import portrait

    origins = catalogue.origins()
    verified = None if origins is None else np.asarray(origins["human"]).astype(np.bool_)
    try:
        found = portrait(catalogue, Config(), verified=verified)
    except GenepoolError:  # vectors of another embedder than the panel's, or too few different images
        return {}
    return {"rarest": found.rare, "commonest": found.common} if found.rare else {}


def _plain(data: Mapping[str, Any]) -> Pictures:
    schema = str(data.get("schema", ""))
    if schema.startswith("genepool.lineage/") and data.get("nodes"):
        return {"pedigree": lambda: _figures.pedigree(data)}
    if schema.startswith("genepool.degradation/"):
        from genepool.degradation import DegradationReport

        return _others(DegradationReport.from_json(data))
    if schema.startswith("genepool.cost/"):
        from genepool.economics import CostReport

        return _others(CostReport.from_json(data))
    if schema.startswith("genepool.lab/"):
        from genepool.lab import figures

        return figures(data)
    return {}


def _others(obj: Any) -> Pictures:
    """Objects of rooms that are imported only where somebody already holds one of theirs."""
    from genepool.degradation import DegradationReport
    from genepool.degradation import plots as losses
    from genepool.economics import CostReport
    from genepool.economics import plots as costs
    from genepool.lineage import Pedigree, describe

    if isinstance(obj, Pedigree):
        return {"pedigree": lambda: _figures.pedigree(describe(obj))}
    if isinstance(obj, DegradationReport):
        return {name: _fixed(figure) for name, figure in losses(obj).items()}
    if isinstance(obj, CostReport):
        return {name: _fixed(figure) for name, figure in costs(obj).items()}
    return {}


def _fixed(figure: Figure) -> Callable[[], Figure]:
    return lambda: figure
