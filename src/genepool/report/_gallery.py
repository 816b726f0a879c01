"""Which images the page shows, and their thumbnails, read through the dataset's own source."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from genepool.dataset import thumbnail
from genepool.report._explain import explanations
from genepool.report._places import pictures
from genepool.report._text import count, printable, sentence
from genepool.report._thumbnails import Kept

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from genepool.records import Case, Decision
    from genepool.store import Catalogue

__all__ = ["Gallery", "Tile", "data_uri", "failing", "fair", "ruled_out", "thumbnails", "uncertain"]

SIDE = 96
"""Longest side of a thumbnail, pixels."""
PER_RULE, FAILING, RULED_OUT, DISPUTED, UNCERTAIN = 48, 96, 16, 8, 16
"""Images of the galleries; with 12 pairs, 16 rarest and commonest and 8 most like AI: 184, at most 200."""


@dataclass(slots=True)
class Tile:
    """One image in a gallery; ``src`` is a data URI, empty where no thumbnail could be made."""

    uri: str
    label: str
    src: str = ""


@dataclass(frozen=True, slots=True)
class Gallery:
    """Some of the images behind one finding.

    ``total`` is how many there are, ``note`` the cap in words.
    """

    key: str
    title: str
    text: str
    tiles: tuple[Tile, ...]
    total: int

    @property
    def note(self) -> str:
        """How many are shown of how many."""
        if self.key in ("rare", "common"):
            return ""
        if len(self.tiles) >= self.total:
            return f"all {count(self.total)} shown" if self.total > 1 else "1 image"
        return f"{count(len(self.tiles))} of {count(self.total)} shown"


def fair(sizes: Sequence[int], total: int, each: int) -> list[int]:
    """Places for several groups: as many as each needs, at most ``each``, the scarce rest shared equally."""
    wants = [min(size, each) for size in sizes]
    given = [0] * len(sizes)
    left = total
    while left > 0 and any(g < w for g, w in zip(given, wants, strict=True)):
        for i, want in enumerate(wants):
            if given[i] < want and left > 0:
                given[i] += 1
                left -= 1
    return given


def _gallery(key: str, title: str, text: str, cases: Sequence[Case], places: int) -> Gallery:
    return Gallery(
        key,
        title,
        text,
        tuple(Tile(c.uri, printable(c.message or c.reason, 160)) for c in cases[:places]),
        len(cases),
    )


def _named(code: str) -> str:
    entry = explanations().get(code)
    return f"{code} {entry.name.replace('-', ' ')}" if entry else printable(code, 12)


def failing(decision: Decision) -> list[Gallery]:
    """One gallery for each rule that did not hold and names images."""
    found = [f for f in decision.failures if f.cases]
    places = fair([len(f.cases) for f in found], FAILING, PER_RULE)
    return [
        _gallery(f.code, _named(f.code), sentence(printable(f.message, 300)), f.cases, n)
        for f, n in zip(found, places, strict=True)
        if n
    ]


def ruled_out(decision: Decision) -> list[Gallery]:
    """Readable images that a rule set aside, by rule; files that could not be read are in a table instead."""
    groups: dict[str, list[Case]] = {}
    for case in decision.set_aside:
        if case.code:
            groups.setdefault(case.code, []).append(case)
    places = fair([len(cases) for cases in groups.values()], RULED_OUT, PER_RULE)
    return [
        _gallery(f"aside-{code}", _named(code), "Not part of the decision.", cases, n)
        for (code, cases), n in zip(sorted(groups.items()), places, strict=True)
        if n
    ]


def uncertain(origins: Any) -> list[Gallery]:
    """Images whose evidence contradicts itself, and those whose origin is least sure.

    Args:
        origins: Table of `genepool.origin.settle`, or None.
    """
    if origins is None or not {"uri", "status", "p_human"} <= set(origins.column_names):
        return []
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    def where(status: str) -> NDArray[np.int64]:
        found = pc.equal(origins["status"], status).to_numpy(zero_copy_only=False)
        return np.flatnonzero(found.astype(bool))

    galleries = []
    if len(disputed := where("disputed")):
        rows = origins.take(pa.array(disputed[:DISPUTED]))
        text = "Hard evidence contradicts itself."
        tiles = _from_table("disputed", "Disputed", text, rows, DISPUTED).tiles
        galleries.append(Gallery("disputed", "Disputed", text, tiles, len(disputed)))
    if len(unsure := where("unknown")):
        gap = np.abs(origins["p_human"].to_numpy()[unsure] - 0.5).round(6)
        # Ties (images without any evidence) keep the order of the catalogue.
        order = unsure[np.argsort(gap, kind="stable")[:UNCERTAIN]]
        text = "Nothing trusted speaks for or against a person; nearest to even odds first."
        tiles = _from_table("uncertain", "Least sure", text, origins.take(pa.array(order)), UNCERTAIN).tiles
        galleries.append(Gallery("uncertain", "Least sure", text, tiles, len(unsure)))
    return galleries


def _from_table(key: str, title: str, text: str, rows: Any, places: int) -> Gallery:
    tiles = [
        Tile(row["uri"], printable(_first_reason(row) or f"p(human) = {row['p_human']:.2f}", 160))
        for row in rows.slice(0, places).to_pylist()
    ]
    return Gallery(key, title, text, tuple(tiles), rows.num_rows)


def _first_reason(row: dict[str, Any]) -> str:
    import orjson

    try:
        reasons = orjson.loads(row.get("reasons") or "[]")
    except orjson.JSONDecodeError:
        return ""
    return str(reasons[0]) if isinstance(reasons, list) and reasons else ""


# -------------------------------------------------------------------------------------- thumbnails


def thumbnails(catalogue: Catalogue | None, uris: Iterable[str], *, limit: int, room: int) -> dict[str, str]:
    """Small WebP copies as data URIs, at most ``limit`` of them and ``room`` bytes together.

    Only these images are read, at the places that the catalogue knows. What cannot be read or decoded has no
    entry: a report never fails because of a picture.
    """
    wanted = list(dict.fromkeys(uris))[:limit]
    if catalogue is None or not wanted or room <= 0:
        return {}
    kept = Kept(catalogue, lambda data: thumbnail(data, SIDE), _how())
    made = {uri: picture for uri, data in pictures(catalogue, wanted) if (picture := data_uri(kept.of(data)))}
    kept.save()
    shown: dict[str, str] = {}
    for uri in wanted:
        picture = made.get(uri, "")
        room -= len(picture)
        if picture and room > 0:
            shown[uri] = picture
    return shown


def _how() -> str:
    """What a thumbnail depends on besides the image."""
    import PIL

    return f"webp {SIDE} 1 pillow {PIL.__version__}"


def data_uri(small: bytes) -> str:
    """A data URI; empty where the image does not decode."""
    return "data:image/webp;base64," + base64.b64encode(small).decode() if small else ""
