"""A model that is open, held to what the processor says of single pictures, and given its batch size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genepool.compute._batches import Batched, chosen
from genepool.compute._session import Opened, Placement, open_session

__all__ = ["TOLERANCE", "Settled", "settle"]

TOLERANCE = 1e-3
"""Largest difference between a card's and the processor's answers, in parts of the output's largest value."""
_SHOWN = 4

Run = Callable[[Any, NDArray[Any]], Sequence[NDArray[Any]]]


class Settled(NamedTuple):
    """A model that is ready for work.

    Attributes:
        run: Pictures in, arrays with one row per picture out.
        session: What runs it.
        remarks: What the scan's record should say of it: where it ran, unless simply on the processor.
    """

    run: Batched
    session: Any
    remarks: tuple[str, ...] = ()


def settle(
    name: str,
    opened: Opened,
    data: bytes,
    placement: Placement,
    run: Run,
    pictures: Callable[[int], NDArray[Any]],
) -> Settled:
    """Choose batch size and, where the card does not say what the processor says, the processor.

    Args:
        name: Of the model, for the record.
        opened: From `open_session`.
        data: The ONNX file.
        placement: What was asked for.
        run: Runs a batch in a session.
        pictures: Makes that many pictures to try with, first axis.
    """
    if opened.provider != "cpu":
        plain = open_session(data)
        shown = pictures(_SHOWN)
        alone = [run(plain.session, shown[k : k + 1]) for k in range(_SHOWN)]
        wanted = [np.concatenate(rows) for rows in zip(*alone, strict=True)]
        off = max(map(_apart, run(opened.session, shown), wanted))
        if not off <= TOLERANCE:
            opened = plain._replace(
                warning=f"{name}: {opened.provider} answers {off:.0e} away from the processor, more than "
                f"{TOLERANCE:.0e}; run on the processor"
            )
    answer = partial(run, opened.session)
    tuning = chosen(answer, opened.provider, placement.batch, pictures)
    said = opened.warning or ("" if opened.provider == "cpu" else f"{name} ran on {opened.provider}")
    return Settled(Batched(answer, tuning), opened.session, (said,) if said else ())


def _apart(found: NDArray[Any], wanted: NDArray[Any]) -> float:
    size = float(np.abs(wanted).max(initial=0.0)) or 1.0
    return float(np.abs(found.astype(np.float64) - wanted).max(initial=0.0)) / size
