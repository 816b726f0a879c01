"""Trainers that obey the gate: torch, ``transformers``, ``diffusers``, WebDataset, Hugging Face ``datasets``.

`GatedDataset` starts only with data that passed and proves every image as it is read; `HumanShareSampler` and
`GatedLoader` keep the human share in every batch; `CollapseMonitor` samples the model and stops before it
forgets; `TrainingRun`, `OutputFolder` and `RegisteredPipeline` put models and their outputs into the log.
"""

from __future__ import annotations

from genepool.integrations._gated import GatedDataset
from genepool.integrations._loader import GatedLoader
from genepool.integrations._measure import as_pictures
from genepool.integrations._monitor import CollapseMonitor, Health
from genepool.integrations._outputs import OutputFolder, RegisteredPipeline, TrainingRun
from genepool.integrations._quotas import Layout, lay_out, least_human
from genepool.integrations._sampler import HumanShareSampler
from genepool.integrations._streams import Stream, huggingface_stream, webdataset_stream
from genepool.integrations._trainer import monitor_callback, registration_callback, use_loader

__all__ = [
    "CollapseMonitor",
    "GatedDataset",
    "GatedLoader",
    "Health",
    "HumanShareSampler",
    "Layout",
    "OutputFolder",
    "RegisteredPipeline",
    "Stream",
    "TrainingRun",
    "as_pictures",
    "huggingface_stream",
    "lay_out",
    "least_human",
    "monitor_callback",
    "registration_callback",
    "use_loader",
    "webdataset_stream",
]
