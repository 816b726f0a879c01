"""How units are run. ``local``: a pool of worker processes of our own, no service.

A unit that kills or stalls its worker is retried, narrowed down to one item and handed to the job's
`quarantine`; everything else goes on.
"""

from __future__ import annotations

from genepool.engine._local import LocalEngine, cores
from genepool.engine._progress import beat

__all__ = ["LocalEngine", "beat", "cores"]
