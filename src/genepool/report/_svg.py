"""From a matplotlib figure to inline SVG: the page's colours and fonts, unique ids, reproducible bytes."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.figure import Figure

__all__ = ["PALETTE", "inline"]

# Each colour is one that the style sheet also names: the page replaces it by the variable, so that a chart
# follows light and dark. No two may be equal.
PALETTE = {
    "ink": "#1d1c1a",
    "muted": "#66635d",
    "rule": "#dedad3",
    "accent": "#2b5a86",
    "fail": "#b0271f",
    "pass": "#1b7447",
    "tier-proven": "#1f4e79",
    "tier-attested": "#3f79ad",
    "tier-declared": "#7ea9cf",
    "tier-recovered": "#8f9fb0",
    "tier-inferred": "#b5bcc4",
    "tier-unknown": "#d9d6d0",
}

_PROLOG = re.compile(r"^.*?(?=<svg)", re.DOTALL)
_STYLE = re.compile(r"<style type=\"text/css\">.*?</style>", re.DOTALL)
_FONT = re.compile(r"font: ([\d.]+)px [^;\"]*")
_ID = re.compile(r' id="([^"]+)"')
_REFERENCE = re.compile(r'(url\(#|href="#)([^")]+)')
_EMPTY = re.compile(r"<defs>\s*</defs>\s*")
_SPACE = re.compile(r">\s+<")


def inline(figure: Figure, name: str, alt: str, *, stretch: bool = False) -> Markup:
    """The figure as an ``<svg>`` element that belongs into an HTML page.

    Args:
        figure: Drawn with colours of `PALETTE` (or fixed ones, which stay as they are in light and dark).
        name: Prefix of its ids, unique in the page.
        alt: What the chart shows, for people who do not see it.
        stretch: Fill the width whatever the height (only for charts without words).
    """
    import matplotlib as mpl
    from markupsafe import Markup, escape

    buffer = io.StringIO()
    # Ids come from a salted hash; a fixed salt and no date make the bytes a function of the figure.
    with mpl.rc_context({"svg.hashsalt": f"genepool-{name}", "svg.fonttype": "none"}):
        figure.savefig(
            buffer,
            format="svg",
            transparent=True,
            metadata={"Date": None, "Creator": None, "Format": None, "Type": None},
        )
    text = _STYLE.sub("", _PROLOG.sub("", buffer.getvalue(), count=1))
    used = {match.group(2) for match in _REFERENCE.finditer(text)}
    text = _ID.sub(lambda m: f' id="{name}-{m.group(1)}"' if m.group(1) in used else "", text)
    text = _REFERENCE.sub(lambda m: f"{m.group(1)}{name}-{m.group(2)}", text)
    text = _FONT.sub(r"font-size: \1px", text)
    for colour, value in PALETTE.items():
        text = text.replace(value, f"var(--{colour})")
    text = _SPACE.sub("><", _EMPTY.sub("", text))
    view = re.search(r'viewBox="([^"]+)"', text)
    box = view.group(1) if view else "0 0 100 100"
    body = text[text.index(">") + 1 :]
    # On a narrow screen a chart shrinks only as far as its words can be read; then it scrolls.
    wide = float(box.split()[2])
    least = wide * (0.68 if wide <= 520 else 0.85)
    fit = (
        'preserveAspectRatio="none"' if stretch else f'style="max-width:{wide:.0f}px;min-width:{least:.0f}px"'
    )
    # All of it is matplotlib's own output, which escapes its text; only ``alt`` is ours to escape.
    return Markup(  # noqa: S704
        f'<svg class="chart" viewBox="{box}" {fit} role="img" '
        f'aria-label="{escape(alt)}" xmlns:xlink="http://www.w3.org/1999/xlink">{body.strip()}'
    )
