"""`inject_diversity`: carry out the plan."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from genepool.injection._plan import plan_injection

if TYPE_CHECKING:
    from pathlib import Path

    from genepool.config import Config

__all__ = ["inject_diversity"]

_log = logging.getLogger("genepool.injection")


class _Injection:
    """Raise a dataset's style diversity: bring in rare images of a reserve, thin out what is too common.

    Call it, or put it into a class: ``inject_diversity = genepool.inject_diversity`` works as a method,
    because an object (unlike a function) is not bound to ``self``.
    """

    __name__ = "inject_diversity"

    def __call__(
        self,
        dataset: Any,
        *,
        reserve: Any = None,
        floor: float | None = None,
        human_ratio: float | None = None,
        quality_drop: float | None = None,
        workspace: str | Path | None = None,
        config: Config | None = None,
    ) -> Any:
        """The dataset with its diversity raised, or the very same object where that is not possible.

        Deterministic. A change is accepted only if the index's lower bound rises, the verified human share
        does not fall below the ratio (or below what it was) and mean quality falls by no more than it may;
        the reason is logged otherwise, and `plan_injection` returns it. Nothing is made: pictures by style
        transfer need a place, ``plan_injection(…, transfers=N).write(OUT)``.

        Args:
            dataset: Anything that `genepool.open` takes.
            reserve: Further images to draw on, likewise.
            floor: Index that the lower bound should reach; None: ``policy.diversity`` (0.60).
            human_ratio: Verified human share to keep; None: ``policy.human_ratio`` (0.70).
            quality_drop: By how much mean quality may fall; see `plan_injection`.
            workspace: Where results are kept; None: beside the dataset.
            config: Settings; None: ``genepool.toml`` of the current folder, else the defaults.

        Returns:
            A `genepool.Dataset` that holds the chosen images, or ``dataset`` itself.

        Raises:
            UsageError: A floor or a ratio outside [0, 1].
            SourceError: Nothing to read.
            MeasureError: Fewer than two images.
        """
        plan = plan_injection(
            dataset,
            reserve=reserve,
            floor=floor,
            human_ratio=human_ratio,
            quality_drop=quality_drop,
            workspace=workspace,
            config=config,
        )
        if not plan.accepted:
            _log.warning("%s: left as it is: %s", plan.dataset.uri, "; ".join(plan.reasons))
            return dataset
        return plan.apply()

    def __repr__(self) -> str:
        return "<genepool.inject_diversity>"


inject_diversity = _Injection()
