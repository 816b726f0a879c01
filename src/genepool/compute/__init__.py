"""Where models run: ONNX Runtime on the processor or on a CUDA card, and how many pictures at a time.

`open_session` starts a model where the configuration (``compute.provider``) wants it and says where it really
runs; `settle` holds a card to the processor's answers; `Batched` shows the model pictures, as many at once as
the card does best (`tuned`), without a number changing. `place` hands the configuration to a plug-in. `lean`
keeps out of our processes what they do not need.
"""

from __future__ import annotations

from genepool.compute._batches import SIZES, Answer, Batched, Tuning, chosen, tuned
from genepool.compute._lean import lean
from genepool.compute._session import PROVIDERS, Opened, Placement, open_session, place
from genepool.compute._settle import TOLERANCE, Settled, settle

__all__ = [
    "PROVIDERS",
    "SIZES",
    "TOLERANCE",
    "Answer",
    "Batched",
    "Opened",
    "Placement",
    "Settled",
    "Tuning",
    "chosen",
    "lean",
    "open_session",
    "place",
    "settle",
    "tuned",
]
