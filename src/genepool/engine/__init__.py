"""How units are run. ``local``: a pool of worker processes of our own, no service. ``ray``: on a Ray cluster.

A unit that kills or stalls its worker is retried, narrowed down to one item and handed to the job's
`quarantine`; everything else goes on.
"""

from __future__ import annotations

from genepool.engine._configured import configured
from genepool.engine._local import LocalEngine, cores
from genepool.engine._progress import beat
from genepool.engine._ray import Portable, RayEngine

__all__ = ["LocalEngine", "Portable", "RayEngine", "beat", "configured", "cores"]
