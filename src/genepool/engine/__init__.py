"""How units are run. ``local``: a pool of worker processes of our own, no service. ``ray``: on a Ray cluster.

`exchange` runs joins, histograms and other stages in which rows have to meet, partition by partition on disk.

A unit that kills or stalls its worker is retried, narrowed down to one item and handed to the job's
`quarantine`; everything else goes on.
"""

from __future__ import annotations

from genepool.engine._configured import configured
from genepool.engine._exchange import Merge, Spread, exchange, write_rows
from genepool.engine._local import LocalEngine, cores
from genepool.engine._progress import beat
from genepool.engine._ray import RayEngine
from genepool.engine._ray_crew import Portable, Unseen
from genepool.engine._stages import ByKey, CountRows, Joined, SumCounts, fixed, partition_of

__all__ = [
    "ByKey",
    "CountRows",
    "Joined",
    "LocalEngine",
    "Merge",
    "Portable",
    "RayEngine",
    "Spread",
    "SumCounts",
    "Unseen",
    "beat",
    "configured",
    "cores",
    "exchange",
    "fixed",
    "partition_of",
    "write_rows",
]
