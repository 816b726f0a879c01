"""The report: one self-contained HTML page per decision, its plots, and the words that explain each rule.

`write` makes the page: verdict first, then numbers with their intervals and floors, what to do next, charts,
and galleries of the images concerned. It needs no script, no network and no server, and equal input gives
equal bytes. `plot` gives the same charts as matplotlib figures. `explanations` holds every code's meaning.
"""

from genepool.report._draw import plot
from genepool.report._explain import Explanation, explanations, find
from genepool.report._looks import draw_gallery, draw_styles
from genepool.report._page import ORIGINS, write

__all__ = ["ORIGINS", "Explanation", "draw_gallery", "draw_styles", "explanations", "find", "plot", "write"]
