"""The laboratory: what happens to a model that is trained on its own kind, measured on small real models.

`run` takes a preset (data: which pictures, which generator, which arms, which seeds) to a result with paired
intervals, tables, plots and sample grids. ``generators`` holds the models themselves. They need the extra
``lab``; nothing heavy is imported before one is made.
"""

from __future__ import annotations

from genepool.lab._arms import ARMS
from genepool.lab._data import Pictures
from genepool.lab._exchange import Exchange
from genepool.lab._plots import figures
from genepool.lab._presets import PRESETS, Preset, load_preset
from genepool.lab._run import SCHEMA, run
from genepool.lab._study import Study
from genepool.lab._summary import summarise, summarise_exchange
from genepool.lab._tables import ARTICLE, markdown
from genepool.lab._theory import Check, theory
from genepool.lab.generators import PictureVAE

__all__ = [
    "ARMS",
    "ARTICLE",
    "PRESETS",
    "SCHEMA",
    "Check",
    "Exchange",
    "PictureVAE",
    "Pictures",
    "Preset",
    "Study",
    "figures",
    "load_preset",
    "markdown",
    "run",
    "summarise",
    "summarise_exchange",
    "theory",
]
