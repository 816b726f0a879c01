"""The laboratory: what happens to a model that is trained on its own kind, measured on small real models.

`generators` holds the models themselves. They need the extra ``lab``; nothing heavy is imported before one is
made.
"""

from __future__ import annotations

from genepool.lab.generators import PictureVAE

__all__ = ["PictureVAE"]
