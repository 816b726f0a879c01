"""Where models run: ONNX Runtime on the processor or on a CUDA card, and how many pictures at a time.

`open_session` starts a model where the configuration (``compute.provider``) wants it and says where it really
runs; `Batched` shows it pictures, as many at once as the card does best (`tuned`), without a number changing.
"""

from __future__ import annotations

from genepool.compute._batches import SIZES, Batched, Tuning, tuned
from genepool.compute._session import PROVIDERS, Opened, open_session

__all__ = ["PROVIDERS", "SIZES", "Batched", "Opened", "Tuning", "open_session", "tuned"]
