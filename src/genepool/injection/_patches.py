"""A picture painted again out of an artist's own strokes: patches from coarse to fine.

Style transfer as texture synthesis (Elad & Milanfar, IEEE TIP 26 (2017) 2338, after the texture optimisation
of Kwatra et al., SIGGRAPH 2005). At each size the picture is covered with overlapping patches; each takes its
nearest neighbour among the artist's, overlaps are averaged robustly, and the picture's own structure is mixed
in where it has some. No network, no weights: what is drawn is the artist's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["PatchBook", "repaint"]

_BOOK = 4000
_SAMPLE = 500
_DIMENSIONS = 32
_ROBUST = 0.8


@dataclass(slots=True)
class PatchBook:
    """An artist's patches of one size at one scale.

    Attributes:
        side: Pixels.
        patches: ``(k, side · side · 3)`` float32 Lab.
        basis: ``(side · side · 3, d)`` principal directions.
        keys: ``(k, d)`` patches in that basis.
        squares: ``(k,)`` their squared lengths.
    """

    side: int
    patches: NDArray[np.float32]
    basis: NDArray[np.float32]
    keys: NDArray[np.float32]
    squares: NDArray[np.float32]

    @classmethod
    def of(cls, pictures: list[NDArray[Any]], side: int, rng: np.random.Generator) -> PatchBook | None:
        """Collect patches of Lab pictures, and their mirror images; None where no picture is large enough."""
        found = [
            _windows(view, side, max(1, side // 4))[0]
            for picture in pictures
            for view in (picture, picture[:, ::-1])
            if min(picture.shape[:2]) >= side
        ]
        if not found:
            return None
        rows = np.concatenate(found)
        if len(rows) > _BOOK:
            rows = rows[np.sort(rng.choice(len(rows), _BOOK, replace=False))]
        basis = _directions(rows[:: max(1, len(rows) // _SAMPLE)])
        keys = rows @ basis
        return cls(side, rows, basis, keys, np.einsum("kd,kd->k", keys, keys))

    def nearest(self, rows: NDArray[np.float32]) -> NDArray[np.intp]:
        """Of each patch ``(n, side · side · 3)`` the most similar one of the book."""
        seen = rows @ self.basis
        best = np.empty(len(rows), np.intp)
        for at in range(0, len(rows), 2048):
            part = seen[at : at + 2048]
            best[at : at + 2048] = (self.squares - 2.0 * part @ self.keys.T).argmin(1)
        return best


def _directions(sample: NDArray[np.float32]) -> NDArray[np.float32]:
    """``(side · side · 3, d)`` the strongest directions of some patches, by the smaller Gram matrix."""
    rows = sample.astype(np.float64)
    if len(rows) > rows.shape[1]:
        vectors = np.linalg.eigh(rows.T @ rows)[1][:, ::-1][:, :_DIMENSIONS]
    else:
        left = np.linalg.eigh(rows @ rows.T)[1][:, ::-1][:, :_DIMENSIONS]
        vectors = rows.T @ left
        vectors /= np.maximum(np.linalg.norm(vectors, axis=0), 1e-12)
    return np.asarray(vectors, np.float32)


def _windows(
    picture: NDArray[Any], side: int, stride: int, shift: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.intp], NDArray[np.intp]]:
    """Patches of ``(h, w, 3)`` as rows, with their tops and lefts; first and last reach the edges."""
    height, width = picture.shape[:2]
    tops = np.unique(np.r_[0, np.arange(shift, height - side + 1, stride), height - side])
    lefts = np.unique(np.r_[0, np.arange(shift, width - side + 1, stride), width - side])
    views = np.lib.stride_tricks.sliding_window_view(picture, (side, side), axis=(0, 1))
    cut = views[tops[:, None], lefts[None, :]]  # (t, l, 3, side, side)
    rows = np.ascontiguousarray(cut.transpose(0, 1, 3, 4, 2), np.float32).reshape(len(tops) * len(lefts), -1)
    top, left = (grid.ravel() for grid in np.meshgrid(tops, lefts, indexing="ij"))
    return rows, top, left


def _aggregate(
    patches: NDArray[np.float32],
    weight: NDArray[np.float32],
    top: NDArray[np.intp],
    left: NDArray[np.intp],
    shape: tuple[int, ...],
    side: int,
) -> NDArray[np.float32]:
    # A window that falls off towards the rim hides the seams.
    slope = np.minimum(np.arange(side) + 1.0, side - np.arange(side))
    window = (np.outer(slope, slope) / slope.max() ** 2).astype(np.float32)
    tops, lefts = np.unique(top), np.unique(left)
    blocks = patches.reshape(len(tops), len(lefts), side, side, 3)
    heavy = weight.reshape(len(tops), len(lefts), 1)
    total = np.zeros(shape, np.float32)
    mass = np.zeros((*shape[:2], 1), np.float32)
    # One place within the patch at a time: the same place of two patches is never the same pixel.
    for dy in range(side):
        for dx in range(side):
            where = (tops + dy)[:, None], (lefts + dx)[None, :]
            part = heavy * window[dy, dx]
            total[where] += part * blocks[:, :, dy, dx]
            mass[where] += part
    return np.asarray(total / np.maximum(mass, 1e-9), np.float32)


def repaint(
    picture: NDArray[Any],
    structure: NDArray[Any],
    hold: NDArray[Any],
    book: PatchBook,
    *,
    rounds: int = 2,
    stride: int | None = None,
) -> NDArray[np.float32]:
    """Cover a picture with patches of the book.

    Args:
        picture: ``(h, w, 3)`` Lab, where to start.
        structure: ``(h, w, 3)`` what must stay recognisable.
        hold: ``(h, w)`` how much of the structure is mixed in, 0: none of it.
        book: The artist's patches.
        rounds: Search and cover, this many times.
        stride: Distance of patches; None: a third of their side.
    """
    step = max(2, book.side // 3) if stride is None else stride
    keep = hold[..., None].astype(np.float32)
    now = np.asarray(picture, np.float32)
    for turn in range(rounds):
        # Another grid each time, so that the seams of one are covered by the next.
        rows, top, left = _windows(now, book.side, step, shift=turn * (step // 2 + 1) % step)
        chosen = book.patches[book.nearest(rows)]
        error = np.einsum("nd,nd->n", chosen - rows, chosen - rows)
        weight = (error + 1e-3 * float(error.mean()) + 1e-6) ** (_ROBUST / 2 - 1)
        weight /= weight.max()
        cover = _aggregate(chosen, weight.astype(np.float32), top, left, now.shape, book.side)
        now = np.asarray((cover + keep * structure) / (1 + keep), np.float32)
    return now
