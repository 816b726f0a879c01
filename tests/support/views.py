"""Pictures as a scan would see them, and their style vectors."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from genepool.embedding import ClassicalEmbedder
from genepool.records import Item, Sample
from genepool.scan import View


def view(image: Image.Image, **options) -> View:
    """The picture as a scan would see it, saved with these options (a JPEG where a quality is given)."""
    out = io.BytesIO()
    image.save(out, "JPEG" if "quality" in options else "PNG", **options)
    return View(Sample(Item("x", "", "x"), out.getvalue()), max_pixels=100_000_000)


def embed(images, **options):
    return np.array([ClassicalEmbedder().embed(view(image, **options)) for image in images])
