"""The page put together and written: one file, offline, no script, at most two megabytes."""

from __future__ import annotations

import contextlib
import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genepool.errors import WorkspaceError
from genepool.report import (
    _about,
    _charts,
    _detector,
    _diversity,
    _fill,
    _gallery,
    _history,
    _lineage,
    _losses,
    _pairs,
    _people,
    _rights,
    _sections,
    _style,
)
from genepool.report._text import count, printable

if TYPE_CHECKING:
    import jinja2

    from genepool.records import Decision
    from genepool.store import Catalogue

__all__ = ["ORIGINS", "write"]

LIMIT = 2_000_000
THUMBNAILS = 200
# Bytes that thumbnails may take; the smaller ones are tried when the words of a page are unusually long.
ROOM = (1_100_000, 400_000, 0)
RAW = 30_000
ORIGINS = ("uri", "origin", "tier", "status", "human", "ai", "p_human", "reasons")
"""Columns of the settled origins that the page looks at."""


def write(decision: Decision, catalogue: Catalogue | None, origins: Any, path: str | Path) -> int:
    """Write the report of a decision as one HTML page that needs nothing else.

    Equal arguments give equal bytes. The page is at most 2 MB whatever the size of the dataset: every list is
    capped, and says so.

    Args:
        decision: What the gate decided; every part of ``extra`` may be missing.
        catalogue: The scanned set, for thumbnails and the style map; None: without pictures.
        origins: Table of `genepool.origin.settle`, its columns `ORIGINS` at least, or None.
        path: Where to write; replaced atomically.

    Returns:
        Bytes written.

    Raises:
        WorkspaceError: The file cannot be written.
    """
    context = _context(decision, catalogue, origins)
    tiles = _tiles(context)
    pictures = _gallery.thumbnails(catalogue, (t.uri for t in tiles), limit=THUMBNAILS, room=ROOM[0])
    page = b""
    for room in ROOM:
        _place(tiles, pictures, room)
        page = _environment().get_template("page.html").render(context).encode("utf-8", "backslashreplace")
        if len(page) <= LIMIT:
            break
    target = Path(path)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(page)
        partial.replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise WorkspaceError(
            f"report: {target} cannot be written: {error.strerror or error}",
            hint="genepool report PATH -o FILE writes it elsewhere",
        ) from None
    return len(page)


def _place(tiles: list[_gallery.Tile], pictures: dict[str, str], room: int) -> None:
    for tile in tiles:
        picture = pictures.get(tile.uri, "")
        room -= len(picture)
        tile.src = picture if room >= 0 else ""


@functools.cache
def _environment() -> jinja2.Environment:
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("genepool.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["shown"] = printable
    assert environment.loader is not None  # noqa: S101  # given above
    css = environment.loader.get_source(environment, "page.css")[0]
    environment.globals["css"] = Markup(css)  # noqa: S704  # our own file
    return environment


def _context(decision: Decision, catalogue: Catalogue | None, origins: Any) -> dict[str, Any]:
    """Everything that the sections say, in their order."""
    view = _style.look(catalogue, origins)
    spread = _diversity.facts(decision)
    lines = _sections.lines(decision)
    failing = _gallery.failing(decision)
    tolerated = decision.extra.get("tolerated")
    return {
        "fill": _fill.fills(decision, catalogue),
        "banner": _sections.banner(decision),
        "lines": lines,
        "tolerated": tolerated if isinstance(tolerated, list) else [],
        "steps": _sections.steps(decision),
        "failing": failing,
        "with_gallery": {gallery.key for gallery in failing},
        "tiers": _charts.tiers(decision, origins),
        "classes": _charts.classes(decision, origins),
        "c2pa": _sections.tallies(decision, "c2pa"),
        "uncertain": _gallery.uncertain(origins),
        "slices": _sections.slices(decision),
        "generations": _charts.generation_chart(decision),
        "pedigree": _lineage.pedigree(decision),
        "pedigree_findings": _lineage.findings(decision),
        "detector": _detector.judged(decision, catalogue, origins),
        "index": next((x for x in lines if x.name == "diversity"), None),
        "history": _history.chart(decision),
        "style": _charts.style_chart(view),
        "extremes": _extremes(view, spread),
        "spread": spread,
        "lost": _diversity.lost(decision, catalogue),
        "degradation": _losses.degradation(catalogue),
        "repeats": _pairs.repeats(decision),
        "aside": _about.aside(decision),
        "ruled_out": _gallery.ruled_out(decision),
        "rights": _rights.rights(decision, catalogue),
        "people": _people.looked(decision, catalogue),
        "costs": _losses.costs(catalogue),
        "checks": _about.checks(decision),
        "about": _about.about(decision),
        "raw": _raw(decision),
    }


def _tiles(context: dict[str, Any]) -> list[_gallery.Tile]:
    """Everything that wants a thumbnail, what the verdict rests on first."""
    galleries = [g for key in ("failing", "ruled_out", "uncertain", "extremes") for g in context[key]]
    if context["detector"] is not None and context["detector"].surest is not None:
        galleries.append(context["detector"].surest)
    tiles = [tile for gallery in galleries for tile in gallery.tiles]
    if context["repeats"] is not None:
        tiles += [tile for pair in context["repeats"].pairs for tile in (pair.image, pair.kept)]
    return tiles[:THUMBNAILS]


def _extremes(view: _style.StyleView | None, spread: _diversity.Facts | None) -> list[_gallery.Gallery]:
    if spread is not None and spread.rare:
        among = f"among {count(spread.looked_at)} images looked at, no two of them copies"
        rows = (
            ("rare", "Rarest styles", f"Least like the rest of the set, {among}.", spread.rare),
            ("common", "Commonest styles", f"Most like the rest of the set, {among}.", spread.common),
        )
    elif view is not None:
        among = f"among {count(view.compared)} images compared"
        rows = (
            ("rare", "Rarest styles", f"Farthest from their neighbours, {among}.", view.rare),
            (
                "common",
                "Commonest styles",
                f"Closest to their neighbours, no two alike, {among}.",
                view.common,
            ),
        )
    else:
        return []
    return [
        _gallery.Gallery(key, title, text, tuple(_gallery.Tile(uri, "") for uri in uris), len(uris))
        for key, title, text, uris in rows
        if uris
    ]


def _raw(decision: Decision) -> str:
    """The decision as the JSON that ``--format json`` prints, where it is not too long."""
    import json  # not orjson: strings with lone surrogates (file names that are not UTF-8) must not raise

    text = json.dumps(decision.to_json(), indent=2, ensure_ascii=False, default=str)
    text = "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text[: RAW + 1])
    return text if len(text) <= RAW else ""
