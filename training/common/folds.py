"""Strict folds: a generator and a human source are in the test only if neither was in the training.

Human sources are held out by origin (all of PACS together, a game's art with everything else of that
game). The second collection's sources are spread over the same quarters by a hash of their name, those
that share an origin with the first one's go with it.
"""

from __future__ import annotations

import hashlib

import numpy as np

QUARTERS = (
    ("pacs_photo", "pacs_art_painting", "pacs_cartoon", "pacs_sketch"),
    ("peopleart_wikiart", "peopleart_voc_photo"),
    ("asp_illustration", "bsds500", "openclipart", "openclipart-debian"),
    (
        "clothing_cc0",
        "imagenet_sample",
        "wesnoth_art",
        "wesnoth",
        "stellarium_constellations",
        "stellarium",
    ),
)
GENERATORS = (
    ("ldm-laion400m", "sd15", "stylegan2-ada", "majesty-diffusion"),
    ("dalle-mini", "midjourney-v2-v3", "sdxl-thumb128"),
    ("glid-3-xl", "gpt-4o-image", "vqgan-clip"),
    ("sd1-beta-2022", "sd35-large", "simulacrabot-2022", "disco-diffusion"),
)
FOLDS = len(QUARTERS)


def quarter(source: str) -> int:
    """Which quarter holds a human source out."""
    for number, names in enumerate(QUARTERS):
        if source in names:
            return number
    return hashlib.sha256(source.encode()).digest()[0] % FOLDS


def group(generator: str) -> int:
    """Which fold holds a generator out.

    Raises:
        ValueError: It is in none.
    """
    for number, names in enumerate(GENERATORS):
        if generator in names:
            return number
    raise ValueError(f"no fold holds {generator!r} out")


def held_out(label: int, source: str, fold: int) -> bool:
    """Whether a picture is in the test of a fold."""
    return (group(source) if label else quarter(source)) == fold


def weights(labels, sources, extra=None, share_of_extra: float = 0.3) -> np.ndarray:
    """Half of the weight for each class, each source by the square root of its count, mean 1.

    Sources of the second collection (``extra``, a flag per picture) weigh ``share_of_extra`` of that: it
    has a hundred of them, and they would drown the others.
    """
    out = np.zeros(len(labels))
    for label in (0, 1):
        names, counts = np.unique(sources[labels == label], return_counts=True)
        share = np.sqrt(counts).astype(float)
        if extra is not None:
            more = {s for s in names if extra[(sources == s) & (labels == label)].any()}
            share[[s in more for s in names]] *= share_of_extra
        share /= share.sum()
        for name, count, part in zip(names, counts, share, strict=True):
            out[(labels == label) & (sources == name)] = part / count
    return out * len(labels) / 2
