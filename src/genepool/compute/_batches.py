"""How many pictures a model is shown at once: measured, and never at the price of a number.

Kernels are chosen by shape, so a model may answer a batch with other last bits than each picture alone. The
measurement therefore compares first and times afterwards: the clock decides among sizes whose answers are
equal to the bit, and where none is, the size is fixed and every batch filled up to it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["SIZES", "Answer", "Batched", "Tuning", "chosen", "tuned"]

SIZES = {"cpu": (1, 2, 4, 8), "cuda": (1, 8, 16, 32, 64, 128)}
"""Batch sizes that are tried, by provider."""
FIXED = 32
"""The size on a card whose answers depend on it: every batch is filled up to this."""
_SECONDS = 0.02
_ROUNDS = 3
# A larger batch holds more pictures in memory: it must be worth it.
_GAIN = 1.03

Answer = Callable[[NDArray[Any]], Sequence[NDArray[Any]]]


@dataclass(frozen=True, slots=True)
class Tuning:
    """How many pictures at once, and what was found on the way.

    Attributes:
        size: Pictures a call.
        filled: Every call has exactly ``size``, the last picture repeated where they are fewer.
        rates: Pictures per second by size, as far as measured.
        equal: Sizes whose answers were those of single pictures to the bit.
    """

    size: int = 1
    filled: bool = False
    rates: dict[int, float] = field(default_factory=dict)
    equal: tuple[int, ...] = (1,)


def chosen(answer: Answer, provider: str, batch: int, pictures: Callable[[int], NDArray[Any]]) -> Tuning:
    """How many pictures a model is shown at once.

    On the processor one at a time: there larger batches gain a few percent for one model, lose for another
    and hold more pictures in memory. On a card as many as it does best. A number that was asked for is taken
    as it is; on a card batches are then filled up to it, so that no answer depends on its neighbours.

    Args:
        answer: The model.
        provider: Where it runs: ``cpu`` or ``cuda``.
        batch: The number asked for; 0: none.
        pictures: Makes that many pictures to try with, first axis.
    """
    if batch:
        return Tuning(batch, filled=provider != "cpu")
    if provider == "cpu":
        return Tuning()
    return tuned(answer, pictures(SIZES[provider][-1]), SIZES[provider])


def tuned(
    answer: Answer,
    pictures: NDArray[Any],
    sizes: Sequence[int],
    clock: Callable[[], float] = time.perf_counter,
) -> Tuning:
    """The batch size for a model on this machine, by a short measurement.

    Args:
        answer: The model: a batch in, arrays with one row per picture out.
        pictures: At least as many as the largest size, first axis.
        sizes: To try, ascending, 1 first.
        clock: Seconds.
    """
    alone = [answer(pictures[i : i + 1]) for i in range(min(len(pictures), sizes[-1]))]
    equal, rates = [], {}
    for size in sizes:
        found = answer(pictures[:size])
        single = [np.concatenate(rows) for rows in zip(*alone[:size], strict=True)]
        if all(np.array_equal(a, b) for a, b in zip(found, single, strict=True)):
            equal.append(size)
    if len(equal) < 2 and len(sizes) > 1 and sizes[-1] >= FIXED:
        return Tuning(FIXED, True, {}, tuple(equal))
    for size in equal:
        rates[size] = _rate(answer, pictures[:size], clock)
    best = 1
    for size in equal:
        if rates[size] > rates[best] * _GAIN:
            best = size
    return Tuning(best, False, rates, tuple(equal))


def _rate(answer: Answer, batch: NDArray[Any], clock: Callable[[], float]) -> float:
    """Pictures per second, the best of a few short rounds: what disturbs only ever slows down."""
    best = 0.0
    for _ in range(_ROUNDS):
        n, begun = 0, clock()
        while True:
            answer(batch)
            n += len(batch)
            spent = clock() - begun
            if spent >= _SECONDS:
                break
        best = max(best, n / spent)
    return best


class Batched:
    """A model that is shown pictures in batches of the size that suits it.

    Args:
        answer: The model: a batch in, arrays with one row per picture out.
        tuning: How many at once.
    """

    def __init__(self, answer: Answer, tuning: Tuning | None = None) -> None:
        self.answer = answer
        self.tuning = tuning or Tuning()

    def __call__(self, pictures: NDArray[Any]) -> list[NDArray[Any]]:
        """What the model answers, one row per picture, shape ``(n, …)`` each."""
        size, found = self.tuning.size, []
        for start in range(0, len(pictures), size):
            part = pictures[start : start + size]
            n = len(part)
            if self.tuning.filled and n < size:
                part = np.concatenate([part, np.repeat(part[-1:], size - n, axis=0)])
            found.append([rows[:n] for rows in self.answer(part)])
        return [np.concatenate(rows) for rows in zip(*found, strict=True)]
