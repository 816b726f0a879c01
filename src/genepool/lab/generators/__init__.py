"""Real generators, from a mixture that fits in seconds to a guided U-Net for hours or a GPU.

All but `PictureVAE` share one face: ``fit(pictures, labels)`` and ``draw(n, seed) -> (pictures, labels)``.
"""

from __future__ import annotations

from genepool.lab.generators._common import Diverged, Generator, Principal, where
from genepool.lab.generators._dense import DenseVAE
from genepool.lab.generators._flow import LatentFlow
from genepool.lab.generators._make import KINDS, check_device, make_generator
from genepool.lab.generators._mixture import GaussianMixture, draw_mixture, fit_mixture
from genepool.lab.generators._pixels import PixelFlow
from genepool.lab.generators._vae import PictureVAE

__all__ = [
    "KINDS",
    "DenseVAE",
    "Diverged",
    "GaussianMixture",
    "Generator",
    "LatentFlow",
    "PictureVAE",
    "PixelFlow",
    "Principal",
    "check_device",
    "draw_mixture",
    "fit_mixture",
    "make_generator",
    "where",
]
