"""Drawn controls whose truth is known: normal logits per group."""

import numpy as np
from scipy.stats import norm

# name → (is AI, mean of the logit, images)
GROUPS = {
    "latent": (True, 3.0, 300),
    "vqgan": (True, 2.5, 200),
    "gan": (True, 2.0, 160),
    "proprietary": (True, 1.2, 400),
    "pixel": (True, 0.8, 150),
    "photo": (False, -2.5, 500),
    "painting": (False, -2.0, 300),
    "drawing": (False, -1.5, 150),
    "clipart": (False, -1.0, 250),
}


def draw(seed, scale=1.0, groups=GROUPS):
    """Logits, labels, group names."""
    rng = np.random.default_rng(seed)
    logits, labels, names = [], [], []
    for name, (ai, mean, n) in groups.items():
        size = int(n * scale)
        logits.append(rng.normal(mean, 1.0, size))
        labels += [int(ai)] * size
        names += [name] * size
    return np.concatenate(logits), np.array(labels), np.array(names)


def rates(members, human_below, ai_above, groups=GROUPS):
    """True P(decided AI), P(decided human) of groups taken together, each by its size."""
    sizes = np.array([groups[m][2] for m in members], float)
    means = np.array([groups[m][1] for m in members])
    share = sizes / sizes.sum()
    return float(share @ norm.sf(ai_above - means)), float(share @ norm.cdf(human_below - means))
