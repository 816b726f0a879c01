"""A detector: generators that decode in blocks leave a grid of 8 pixels."""

import hashlib
import math

import numpy as np

from genepool.records import Score


class GridDetector:
    """Energy of steps on an 8-pixel grid against steps off it. Without a calibration it has no vote."""

    name = "atelier-grid"
    digest = hashlib.sha256(b"atelier grid detector 1").hexdigest()

    def prepare(self):
        """Nothing to load."""

    def score(self, view):
        grey = view.pixels.astype(np.float64).mean(-1)
        if min(grey.shape) < 64:
            return Score(
                None, f"image of {grey.shape[1]} × {grey.shape[0]} pixels, at least 64 × 64 are needed"
            )
        steps = np.abs(np.diff(grey, axis=1)).mean(0)
        if steps.mean() < 0.05:
            return Score(None, "no texture")
        on = steps[7::8].mean()
        off = np.delete(steps, np.s_[7::8]).mean()
        return Score(float(math.log((on + 1e-9) / (off + 1e-9))))
