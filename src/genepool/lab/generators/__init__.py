"""Small real generators that train in well under a minute on one processor."""

from __future__ import annotations

from genepool.lab.generators._vae import PictureVAE

__all__ = ["PictureVAE"]
