"""Style transfer plug-ins: three without weights, one that runs the user's own.

All take the subject of one picture and the manner of one to a few others: `ColourStyle` moves the palette
    only,
`MarksStyle` also gives every size and direction of mark its strength in the style, `StrokesStyle` paints the
picture again out of the artist's own patches. They are found by name in the plug-in group
``genepool.styles``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from genepool.errors import PluginError
from genepool.injection import _colour
from genepool.injection._marks import common_levels, match, statistics_of
from genepool.injection._patches import PatchBook, repaint

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Raster = NDArray[np.uint8]

__all__ = ["ColourStyle", "MarksStyle", "StrokesStyle", "load_style"]

_SAMPLE = 4096
"""Pixels of each style picture whose colours are the palette."""


def load_style(spec: str) -> Any:
    """The style plug-in ``name`` or ``name:argument``.

    Raises:
        PluginError: No such name, or it does not keep the contract.
    """
    from genepool import plugins

    style = plugins.create("styles", spec)
    missing = [
        key for key in ("name", "version", "parameters", "base", "transfer") if not hasattr(style, key)
    ]
    if missing:
        raise PluginError(f"style {spec!r}: expected {', '.join(missing)}, found none")
    return style


class ColourStyle:
    """Colour alone, by optimal transport of palettes, or by the Gaussian or Reinhard map.

    Args:
        method: ``transport``, ``gaussian`` or ``reinhard``.

    Attributes:
        name, version: Identity; the version changes whenever a pixel may change.
        parameters: What is recorded with every picture.
        base: Registered model behind it: none, there are no weights.

    Raises:
        PluginError: No such method.
    """

    version = "1"
    base = ""

    def __init__(self, method: str = "transport") -> None:
        if method not in ("transport", "gaussian", "reinhard"):
            raise PluginError(f"style colour: expected transport, gaussian or reinhard, found {method!r}")
        self.name = "colour"
        self.parameters: Mapping[str, Any] = {"method": method}

    def transfer(self, content: Raster, styles: Sequence[Raster], *, seed: int = 0) -> Raster:
        """The picture ``(h, w, 3)`` uint8 in the colours of the styles.

        Raises:
            MissingExtra: POT is not installed (not needed for ``reinhard``).
        """
        lab, palette = _colour.to_lab(content), _palette(styles, seed)
        if self.parameters["method"] == "reinhard":
            return _colour.from_lab(_colour.reinhard(lab, palette))
        if self.parameters["method"] == "gaussian":
            return _colour.from_lab(_colour.gaussian(lab, palette))
        return _colour.from_lab(_colour.transport(lab, palette, seed=seed))


class MarksStyle:
    """Colour, and the statistics of a steerable pyramid; attributes as of `ColourStyle`.

    Args:
        strength: 0 (as it is) to 1, as text or number.

    Raises:
        PluginError: The strength is no number in [0, 1].
    """

    version = "1"
    base = ""

    def __init__(self, strength: str | float = 0.8) -> None:
        self.name = "marks"
        self.strength = _share("marks", strength)
        self.parameters: Mapping[str, Any] = {"strength": self.strength}

    def transfer(self, content: Raster, styles: Sequence[Raster], *, seed: int = 0) -> Raster:
        """The picture with the styles' colours and marks.

        Raises:
            MissingExtra: POT is not installed.
        """
        lab = _colour.transport(_colour.to_lab(content), _palette(styles, seed), seed=seed)
        theirs = [_colour.to_lab(style) for style in styles]
        levels = common_levels([lab, *theirs])
        made = match(lab, statistics_of(theirs, levels), strength=self.strength, ground=0.15, seed=seed)
        return _colour.from_lab(made)


class StrokesStyle:
    """Painted again out of the artist's own patches, coarse to fine, with his colours and marks.

    Attributes as of `ColourStyle`.

    Args:
        hold: How strongly the picture's own structure is held where it has edges, 0 to 1, as text or number.

    Raises:
        PluginError: ``hold`` is no number in [0, 1].
    """

    version = "1"
    base = ""
    scales = (0.25, 0.5, 1.0)
    sides = (21, 13, 7)

    def __init__(self, hold: str | float = 0.2) -> None:
        self.name = "strokes"
        self.hold = _share("strokes", hold)
        self.parameters: Mapping[str, Any] = {"hold": self.hold}

    def transfer(self, content: Raster, styles: Sequence[Raster], *, seed: int = 0) -> Raster:
        """The picture in the styles' manner.

        Raises:
            MissingExtra: POT is not installed.
        """
        rng = np.random.default_rng(seed)
        palette = _palette(styles, seed)
        base = _colour.transport(_colour.to_lab(content), palette, seed=seed)
        theirs = [_colour.to_lab(style) for style in styles]
        now = None
        for scale in self.scales:
            structure = _scaled(base, scale)
            books = [_scaled(each, scale) for each in theirs]
            hold = self.hold * _edges(structure)
            now = structure if now is None else _fitted(now, structure.shape)
            for side in self.sides:
                book = PatchBook.of(books, side, rng) if min(structure.shape[:2]) >= 2 * side else None
                if book is not None:
                    now = repaint(now, structure, hold, book)
            now = _colour.transport(now, palette, seed=seed)
        assert now is not None  # noqa: S101  # there is at least one scale
        levels = common_levels([now, *theirs])
        return _colour.from_lab(match(now, statistics_of(theirs, levels), strength=0.8, rounds=1))


def _share(style: str, value: str | float) -> float:
    try:
        found = float(value)
    except ValueError:
        found = -1.0
    if not 0.0 <= found <= 1.0:
        raise PluginError(f"style {style}: expected a number from 0 to 1, found {value!r}")
    return found


def _palette(styles: Sequence[Raster], seed: int) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    found = []
    for style in styles:
        rows = style.reshape(-1, 3)
        pick = rows[rng.choice(len(rows), min(_SAMPLE, len(rows)), replace=False)]
        found.append(_colour.to_lab(pick[None])[0])
    return np.concatenate(found)


def _scaled(lab: NDArray[Any], factor: float) -> NDArray[np.float32]:
    """A smaller copy, low-passed first."""
    from scipy import ndimage

    if factor >= 1:
        return np.asarray(lab, np.float32)
    blur = 0.3 / factor
    soft = ndimage.gaussian_filter(lab, (blur, blur, 0), mode="nearest")
    return np.asarray(ndimage.zoom(soft, (factor, factor, 1), order=1), np.float32)


def _fitted(lab: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """The same picture at another size, exactly."""
    from scipy import ndimage

    ways = [np.linspace(0, old - 1, new) for old, new in zip(lab.shape[:2], shape[:2], strict=True)]
    grid = np.meshgrid(*ways, indexing="ij")
    planes = [ndimage.map_coordinates(lab[..., c], grid, order=1, mode="nearest") for c in range(3)]
    return np.stack(planes, -1).astype(np.float32)


def _edges(lab: NDArray[Any]) -> NDArray[np.float32]:
    """``(h, w)`` how much structure there is, 1 at a strong edge, at most 1.5."""
    from scipy import ndimage

    light = ndimage.gaussian_filter(lab[..., 0], 1.0)
    slope = np.hypot(ndimage.sobel(light, 0), ndimage.sobel(light, 1))
    slope = ndimage.gaussian_filter(slope, 1.5)
    return np.asarray(np.clip(slope / max(float(np.quantile(slope, 0.95)), 1e-6), 0.0, 1.5), np.float32)
