"""`SyntheticContentDetector`: the seed's second face."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from genepool.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from genepool.config import Config
    from genepool.detection import Opinion
    from genepool.records import RatioEstimate

__all__ = ["SyntheticContentDetector"]


class SyntheticContentDetector:
    """How much of a dataset is human-made, and what the pixel judge thinks of each image.

    ``threshold`` is the selective accuracy asked of the pixel judge: it decides only where, on held-out
    generators, at least that share of its decisions is right, and abstains elsewhere. It is never a cut on
    p(synthetic), and it has no part in the guaranteed share, which rests on verified images alone.

    Args:
        threshold: In (0.5, 1].
        workspace: Where results are kept; None: beside the dataset.
        config: Settings; None: ``genepool.toml`` of the current folder, else the defaults.

    Raises:
        UsageError: A threshold outside (0.5, 1].
    """

    def __init__(
        self,
        threshold: float = 0.94,
        workspace: str | Path | None = None,
        *,
        config: Config | None = None,
    ) -> None:
        given: Any = threshold
        if isinstance(given, bool) or not isinstance(given, int | float) or math.isnan(given):
            raise UsageError(f"threshold: expected a number above 0.5 and at most 1, found {threshold!r}")
        if not 0.5 < threshold <= 1.0:
            raise UsageError(
                f"threshold: expected above 0.5 and at most 1, found {threshold}",
                hint="the share of the detector's decisions that must be right, not a cut on p(synthetic)",
            )
        self.threshold = float(threshold)
        self.workspace = workspace
        self._config = config

    @property
    def config(self) -> Config:
        """The settings in force, with this threshold.

        Raises:
            ConfigError: ``genepool.toml`` of the current folder is not valid.
        """
        from genepool.config import load

        return (self._config or load()).with_(detection__threshold=self.threshold)

    def get_human_content_ratio(self, dataset: Any) -> RatioEstimate:
        """The guaranteed human share of a dataset: verified images counted, the rest audited by people.

        Where nobody has judged, or nobody who may certify by sight, it is the count alone.

        Args:
            dataset: Anything that `genepool.open` takes.

        Returns:
            As a float the guaranteed share (lower bound); point, bounds and assumptions beside it.

        Raises:
            SourceError: Nothing to read.
            IntegrityError: A log that is read does not verify, or the review did not follow its random order.
        """
        from genepool import origin
        from genepool.prevalence._certify import certified_ratio

        catalogue, place, config = self._scan(dataset)
        origins = origin.settle(catalogue, place, config)
        policy = config.policy
        return certified_ratio(catalogue, origins, place, floor=policy.human_ratio, alpha=policy.alpha).ratio

    def predict(self, dataset: Any) -> list[Opinion]:
        """The pixel judge's opinion on each image, in the order of the catalogue.

        Without a detector, or without a calibration on labelled controls, every opinion abstains.

        Raises:
            SourceError: Nothing to read.
            PluginError: The configured detector does not exist.
        """
        from genepool.detection import opinions

        catalogue, place, config = self._scan(dataset)
        return list(opinions(catalogue, place, config))

    def _scan(self, data: Any) -> tuple[Any, Any, Config]:
        from genepool import dataset, scan, store

        config = self.config
        opened = dataset.open(data)
        place = store.workspace_for(opened, self.workspace)
        return scan.scan(opened, place, config=config), place, config
