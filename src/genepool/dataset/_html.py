"""How a dataset shows itself in a notebook: what it is, how much of it, and its first images."""

from __future__ import annotations

import base64
import itertools
from typing import TYPE_CHECKING

from genepool.dataset._thumbnail import thumbnail
from genepool.errors import GenepoolError
from genepool.records import Case, Item, shown

if TYPE_CHECKING:
    from genepool.dataset._dataset import Dataset

__all__ = ["dataset_html"]

SHOWN, SIDE = 12, 88
LISTED = 2_000
"""Images that are counted, else "or more": looking at a set must not read a million names."""
ROOM = 45_000
"""Characters that the pictures may take."""


def dataset_html(dataset: Dataset) -> str:
    """Kind, place, number of images and up to twelve of them; under 60 kB, without script.

    Nothing is fetched from elsewhere: of a set behind a URL only the name is shown.
    """
    place = f"<code>{shown(dataset.uri, 200)}</code>"
    head = f"<strong>Dataset</strong> {place} · {shown(dataset.source.kind, 40)}"
    if "://" in dataset.uri and not dataset.uri.startswith("file://"):
        chosen = "" if dataset.selection is None else f" · {len(dataset.selection):,} selected"
        return f"<div><p>{head}{chosen}<br><small>elsewhere: not listed before it is used</small></p></div>"
    aside: list[Case] = []
    try:
        items = list(itertools.islice(dataset.items(aside), LISTED + 1))
        samples = dataset.source.read(items[:SHOWN])
        cells = _cells([(sample.item, sample.data or b"") for sample in samples])
    except GenepoolError as error:
        return f"<div><p>{head}<br><small>{shown(error.message, 300)}</small></p></div>"
    n = f"{LISTED:,} images or more" if len(items) > LISTED else f"{len(items):,} images"
    refused = f" · {len(aside):,} refused while listing" if aside else ""
    first = f"<br><small>the first {len(cells)}:</small>" if len(cells) < len(items) else ""
    table = "".join("<tr>" + "".join(cells[i : i + 6]) + "</tr>" for i in range(0, len(cells), 6))
    return (
        f"<div><p>{head} · {n}{refused}{first}</p>"
        + (f"<table><tbody>{table}</tbody></table>" if table else "")
        + f"<p><small>next: <code>genepool check {shown(dataset.uri, 200)}</code></small></p></div>"
    )


def _cells(read: list[tuple[Item, bytes]]) -> list[str]:
    cells, room = [], ROOM
    for item, data in read:
        name = shown(item.uri, 160)
        picture = base64.b64encode(small).decode() if data and (small := thumbnail(data, SIDE)) else ""
        room -= len(picture)
        image = (
            f'<img src="data:image/webp;base64,{picture}" alt="{name}">'
            if picture and room >= 0
            else "<em>no picture</em>"
        )
        cells.append(f"<td>{image}<br><small>{shown(item.uri, 28)}</small></td>")
    return cells
