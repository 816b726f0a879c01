"""`CollapseMonitor`: sample the model while it trains, and stop before it forgets."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from genepool.errors import MeasureError, UsageError
from genepool.integrations._measure import Yardstick, as_pictures

if TYPE_CHECKING:
    from genepool.diversity import Panel, RetentionEstimate, StyleEstimate

__all__ = ["CollapseMonitor", "Health"]

_log = logging.getLogger("genepool.integrations")


@dataclass(frozen=True, slots=True)
class Health:
    """One look at the model.

    Attributes:
        step: Training step.
        index: Style diversity index of what it makes.
        retention: Unique feature retention, per cent of a fresh sample of the training set.
        degraded: What has fallen below the tolerated share of its best, a sentence each; empty: nothing.
        stop: Whether training should stop now.
    """

    step: int
    index: StyleEstimate
    retention: RetentionEstimate
    degraded: tuple[str, ...] = ()
    stop: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "step": self.step,
            "index": self.index.to_json(),
            "retention": self.retention.to_json(),
            "degraded": list(self.degraded),
            "stop": self.stop,
        }


class CollapseMonitor:
    """Measures what a model makes, every so many steps, against its training set.

    A measure counts as degraded when even the upper end of its interval is below ``keep`` of the best that
    this run has reached; an interval that reaches there is no proof. An unfinished model is not degraded: it
    has not been better yet.

    Call `step` once a training step from a plain loop; `monitor_callback` makes the same a
    ``transformers.TrainerCallback``.

    Args:
        generate: Called as ``generate(n)``; returns n pictures (see `as_pictures` for the forms).
        reference: A `GatedDataset`, or pictures ``(n, h, w, 3)`` uint8 of the generator's resolution.
        every: Steps between two looks.
        n: Pictures for each look, at least 40.
        keep: Share of the best value below which a measure is degraded, in (0, 1).
        patience: Looks in a row that must find degradation before anything is done.
        action: ``stop`` or ``warn`` (a line in the log ``genepool.integrations``).
        size: Side of the pictures that the generator makes, for a `GatedDataset`.
        panel: Reference panel; None: the configured one.
        seed: Chooses the reference pictures and the bootstrap.

    Attributes:
        history: Every look, oldest first.

    Raises:
        UsageError: A number outside its range.
        MeasureError: Fewer than 40 reference pictures.
    """

    def __init__(
        self,
        generate: Callable[[int], Any],
        reference: Any,
        *,
        every: int = 1000,
        n: int = 256,
        keep: float = 0.8,
        patience: int = 1,
        action: Literal["stop", "warn"] = "stop",
        size: int = 0,
        panel: Panel | None = None,
        seed: int = 0,
    ) -> None:
        if every < 1 or n < 40 or not 0 < keep < 1 or patience < 1 or action not in ("stop", "warn"):
            raise UsageError(
                f"monitor: expected every ≥ 1, n ≥ 40, 0 < keep < 1, patience ≥ 1, action stop or warn, "
                f"found {every}, {n}, {keep}, {patience}, {action!r}"
            )
        self._generate = generate
        self.every, self.n, self.keep, self.patience, self.action = every, n, keep, patience, action
        self._yardstick = Yardstick(_reference(reference, size, seed), panel=panel, seed=seed)
        self._best: dict[str, float] = {}
        self._low = 0
        self.history: list[Health] = []

    def step(self, step: int) -> bool:
        """Look at the model when it is time; returns whether to stop training."""
        return self.look(step).stop if step > 0 and step % self.every == 0 else False

    def look(self, step: int) -> Health:
        """Sample and measure now.

        Raises:
            MeasureError: The generator returned something else than pictures.
        """
        pictures = as_pictures(self._generate(self.n))
        vectors = self._yardstick.embed(pictures)
        index, retention = self._yardstick.index(vectors), self._yardstick.retention(vectors)
        degraded = []
        for name, found in (("style diversity index", index), ("feature retention", retention)):
            best = self._best.get(name)
            if best is not None and found.upper < self.keep * best:
                degraded.append(
                    f"{name} is {found.value:.3g}, at most {found.upper:.3g}: below {self.keep:.0%} of the "
                    f"best, {best:.3g}"
                )
            self._best[name] = found.value if best is None else max(best, found.value)
        self._low = self._low + 1 if degraded else 0
        stop = self._low >= self.patience and self.action == "stop"
        if self._low >= self.patience:
            _log.warning("step %d: the model degrades: %s", step, "; ".join(degraded))
        health = Health(step, index, retention, tuple(degraded), stop)
        self.history.append(health)
        return health


def _reference(reference: Any, size: int, seed: int) -> Any:
    """At most 2048 pictures of the reference, evenly at random."""
    if not hasattr(reference, "pictures"):
        return as_pictures(reference)
    side = size or reference.size
    if not side:
        raise MeasureError("monitor: expected the side of the generated pictures, found none", hint="size=32")
    count = min(2048, len(reference))
    chosen = np.sort(np.random.default_rng(seed).permutation(len(reference))[:count])
    return reference.pictures(chosen.tolist(), side)
