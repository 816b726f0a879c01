"""A preference model: the more colourful the better (after Hasler and Süsstrunk, 2003)."""

import hashlib

import numpy as np


class Colourful:
    """Mean and spread of the two opponent colours."""

    name = "atelier-colourful"
    digest = hashlib.sha256(b"atelier colourful 1").hexdigest()

    def prepare(self):
        """Nothing to load."""

    def score(self, pixels, caption=""):
        r, g, b = (pixels[..., i].astype(np.float64) for i in range(3))
        rg, yb = r - g, (r + g) / 2 - b
        spread = np.hypot(rg.std(), yb.std())
        return float(spread + 0.3 * np.hypot(rg.mean(), yb.mean()))
