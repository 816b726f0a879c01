"""Reading features twice: arrays, lists of batches, or a function that starts again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from genepool.errors import MeasureError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Features", "aligned", "batches", "column", "grouped"]

Features = "NDArray[Any] | Iterable[NDArray[Any]] | Callable[[], Iterable[NDArray[Any]]]"
"""An ``(n, d)`` array, a list (or other re-iterable) of such arrays, or a function that returns one."""

SIZE = 2048


def batches(features: Any) -> Callable[[], Iterator[NDArray[Any]]]:
    """A function that starts a fresh pass over the features, in batches of at most 2048 rows.

    Raises:
        MeasureError: A one-shot iterator, which cannot be read twice, or something else than 2-D batches.
    """
    if isinstance(features, np.ndarray):
        start: Callable[[], Iterable[Any]] = lambda: (features,)  # noqa: E731
    elif callable(features):
        start = features
    elif isinstance(features, Iterator):
        raise MeasureError(
            "features: expected something that can be read twice, found a one-shot iterator",
            hint="pass an array, a list of batches, or a function that returns a new iterator",
        )
    else:
        start = lambda: features  # noqa: E731

    def run() -> Iterator[NDArray[Any]]:
        for part in start():
            block = np.asarray(part)
            if block.ndim != 2 or block.dtype.kind not in "fiu":
                raise MeasureError(
                    f"features: expected batches of shape (n, d), found {block.shape} of {block.dtype}"
                )
            for at in range(0, len(block), SIZE):
                yield block[at : at + SIZE]

    return run


def column(values: Any, name: str, kind: type) -> NDArray[Any] | None:
    """A per-image argument as a 1-D array: ``verified`` (bool) or ``weights`` (finite, not negative).

    Raises:
        MeasureError: Another shape, a negative weight, NaN.
    """
    if values is None:
        return None
    array = np.asarray(values)
    if array.ndim != 1:
        raise MeasureError(f"{name}: expected one value per image, found shape {array.shape}")
    array = array.astype(kind)
    if kind is float and not (np.isfinite(array).all() and (array >= 0).all()):
        raise MeasureError(f"{name}: expected finite numbers that are not negative")
    return array


def grouped(labels: Iterable[str]) -> tuple[list[str], NDArray[np.int64]]:
    """The different labels in order, and which of them each image has.

    No array of fixed-width text: there every image would take as much as the longest label.
    """
    index: dict[str, int] = {}
    found = np.fromiter((index.setdefault(label, len(index)) for label in labels), np.int64)
    names = sorted(index)
    place = np.empty(len(names), np.int64)
    place[[index[name] for name in names]] = np.arange(len(names))
    return names, place[found]


def aligned(
    parts: Iterable[NDArray[Any]], *columns: NDArray[Any] | None
) -> Iterator[tuple[NDArray[Any], list[NDArray[Any] | None]]]:
    """Batches together with their stretch of each per-image column.

    Raises:
        MeasureError: A column is shorter or longer than the features.
    """
    at = 0
    for part in parts:
        here = [None if c is None else c[at : at + len(part)] for c in columns]
        at += len(part)
        if any(c is not None and len(c) != len(part) for c in here):
            break
        yield part, here
    lengths = [len(c) for c in columns if c is not None]
    if any(length != at for length in lengths):
        raise MeasureError(f"features: {at} or more rows beside {lengths} verified flags or weights")
