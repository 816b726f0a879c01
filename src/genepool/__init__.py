"""genepool stands in front of an image model's training set and keeps the model from artistic inbreeding.

The map: `genepool.check` judges a dataset and returns a `Decision`; `genepool.open` names one. The seed's
five faces are `SustainableAITrainingPipeline`, `DataProvenanceBlockchain`, `SyntheticContentDetector`,
`StyleDiversityIndex` and `HumanInLoopValidator`. Rooms, from the top: `gate` decides; `economics` says
what it costs; `injection` repairs; `degradation` measures what a model has lost; `review` asks people;
`prevalence` says how much is human; `origin` settles who made each image; `provenance`, `evidence`,
`detection`, `lineage`, `diversity` are its witnesses; `scan` reads each image once.

Importing this module is free: names are loaded when they are used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from genepool._version import __version__

_HOMES = {
    "DataProvenanceBlockchain": "genepool.provenance",
    "Dataset": "genepool.dataset",
    "Decision": "genepool.records",
    "Estimate": "genepool.records",
    "GateError": "genepool.errors",
    "GenepoolError": "genepool.errors",
    "HumanInLoopValidator": "genepool.review",
    "InsufficientHumanContent": "genepool.errors",
    "RatioEstimate": "genepool.records",
    "StyleDiversityIndex": "genepool.diversity",
    "SustainableAITrainingPipeline": "genepool.pipeline",
    "SyntheticContentDetector": "genepool.prevalence",
    "check": "genepool.pipeline",
    "inject_diversity": "genepool.injection",
    "open": "genepool.dataset",
}

__all__ = [
    "DataProvenanceBlockchain",
    "Dataset",
    "Decision",
    "Estimate",
    "GateError",
    "GenepoolError",
    "HumanInLoopValidator",
    "InsufficientHumanContent",
    "RatioEstimate",
    "StyleDiversityIndex",
    "SustainableAITrainingPipeline",
    "SyntheticContentDetector",
    "__version__",
    "check",
    "inject_diversity",
    "open",
]

if TYPE_CHECKING:
    from genepool.dataset import Dataset, open
    from genepool.diversity import StyleDiversityIndex
    from genepool.errors import GateError, GenepoolError, InsufficientHumanContent
    from genepool.injection import inject_diversity
    from genepool.pipeline import SustainableAITrainingPipeline, check
    from genepool.prevalence import SyntheticContentDetector
    from genepool.provenance import DataProvenanceBlockchain
    from genepool.records import Decision, Estimate, RatioEstimate
    from genepool.review import HumanInLoopValidator


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        # `genepool.gate` and the other rooms are reachable as attributes, loaded when named.
        try:
            return importlib.import_module(f"genepool.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"genepool.{name}":
                raise
            raise AttributeError(f"module 'genepool' has no attribute {name!r}") from None
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
