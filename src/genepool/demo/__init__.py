"""The demo: a gallery of real and generated pictures, made on the spot, and the story that it tells.

`make_gallery` makes the pictures; `run` registers what is known about them, checks them, sets the offenders
aside and checks again. Nothing is downloaded, no threshold is lowered.
"""

from genepool.demo._gallery import ANCHOR, MODELS, Gallery, make_gallery
from genepool.demo._place import clear
from genepool.demo._story import FIRST, SECOND, Ending, Story, run

__all__ = [
    "ANCHOR",
    "FIRST",
    "MODELS",
    "SECOND",
    "Ending",
    "Gallery",
    "Story",
    "clear",
    "make_gallery",
    "run",
]
