"""Pictures of a catalogue's styles as files: the map, and the rarest beside the commonest images."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genepool.errors import MeasureError, WorkspaceError
from genepool.report import _gallery, _plot, _style
from genepool.report._text import printable

if TYPE_CHECKING:
    from genepool.store import Catalogue

__all__ = ["draw_gallery", "draw_styles"]

SIDE, GAP, TITLE = 112, 8, 26
ACROSS = 8


def draw_styles(catalogue: Catalogue, path: str | Path) -> None:
    """Write the style map: every image (of more than 20,000 every so-manieth) where its style is.

    Args:
        catalogue: Scanned; colours come from its settled origins where there are some.
        path: A ``.png`` or ``.svg`` file.

    Raises:
        MeasureError: Fewer than three images with a style vector.
        WorkspaceError: The file cannot be written, or is of another kind.
    """
    view = _style.look(catalogue, catalogue.origins())
    if view is None:
        raise MeasureError(
            f"style map: expected at least three images with a style vector, found {catalogue.n} images",
            hint="genepool scan PATH --rescan",
        )
    figure = _plot.style_map(view.points, view.groups)
    try:
        figure.savefig(path, bbox_inches="tight", facecolor="white")
    except (OSError, ValueError) as error:
        raise _unwritten(path, error) from None


def draw_gallery(catalogue: Catalogue, rows: Mapping[str, Sequence[str]], path: str | Path) -> None:
    """Write one picture with a row of images for every title.

    Args:
        catalogue: Where the images are.
        rows: Title → uris, of which the first eight are shown.
        path: A ``.png`` file.

    Raises:
        WorkspaceError: The file cannot be written, or is of another kind.
    """
    from PIL import Image, ImageDraw

    shown = {title: list(uris)[:ACROSS] for title, uris in rows.items()}
    pictures = _gallery.thumbnails(
        catalogue, [u for uris in shown.values() for u in uris], limit=_gallery_limit(shown), room=10**7
    )
    width = GAP + ACROSS * (SIDE + GAP)
    sheet = Image.new("RGB", (width, max(1, len(shown)) * (TITLE + SIDE + 2 * GAP)), "white")
    pen = ImageDraw.Draw(sheet)
    top = 0
    for title, uris in shown.items():
        words = printable(title, 60) if uris else f"{printable(title, 60)}: none"
        pen.text((GAP, top + GAP), words, fill="black", font_size=16)
        top += TITLE + GAP
        for i, uri in enumerate(uris):
            if uri in pictures:
                small = Image.open(io.BytesIO(base64.b64decode(pictures[uri].partition(",")[2])))
                left = GAP + i * (SIDE + GAP) + (SIDE - small.width) // 2
                sheet.paste(small, (left, top + (SIDE - small.height) // 2))
        top += SIDE + GAP
    try:
        sheet.save(path)
    except (OSError, ValueError, KeyError) as error:
        raise _unwritten(path, error) from None


def _gallery_limit(shown: Mapping[str, Sequence[str]]) -> int:
    return sum(len(uris) for uris in shown.values())


def _unwritten(path: str | Path, error: Any) -> WorkspaceError:
    return WorkspaceError(
        f"{path} cannot be written: {error}", hint="choose a .png file in a folder that exists"
    )
