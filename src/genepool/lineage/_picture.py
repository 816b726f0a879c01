"""A described pedigree as SVG: humans at the top as founders, models as matings coloured by inbreeding.

Plain SVG 1.1 with literal colours and no script, so that it opens anywhere; equal pedigrees give equal bytes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple
from xml.sax.saxutils import escape

from genepool.lineage._tree import generation, percent, printable, words

__all__ = ["Box", "Edge", "Plan", "draw", "layout", "sentence"]

INK, MUTED, RULE, ACCENT = "#1d1c1a", "#66635d", "#dedad3", "#2b5a86"
DARK = "#111111"
_RAMP = ((0.0, (243, 240, 232)), (0.125, (250, 220, 150)), (0.25, (236, 150, 80)), (0.5, (163, 34, 27)))
WIDTH, HEIGHT, GAP, DROP, MARGIN, SIDE = 148, 46, 18, 64, 16, 68
LEGEND = 34


def draw(described: Mapping[str, Any]) -> str:
    """The picture as the text of an SVG file.

    Args:
        described: As from `genepool.lineage.describe`.
    """
    plan = layout(described)
    width, height = plan.width, plan.height + LEGEND
    text = escape(sentence(described), {'"': "&quot;"})
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" aria-label="{text}" font-family="system-ui, sans-serif" '
        'font-size="12">',
        f"<title>{escape(_title(described))}</title>",
        f"<desc>{escape(sentence(described))}</desc>",
    ]
    for edge in plan.edges:
        out += _line(edge)
    for box in plan.boxes:
        out += _node(box)
    out += _legend(height)
    return "\n".join([*out, "</svg>"]) + "\n"


def sentence(described: Mapping[str, Any]) -> str:
    """The picture in words, for people who do not see it."""
    said = [f"{printable(n['name'])}: {words(n)}" for n in described["nodes"] if n["kind"] != "founders"]
    people = sum(n["kind"] == "founders" for n in described["nodes"])
    merged = f" (one of them stands for {described['merged']:,})" if described["merged"] else ""
    said = said[::-1][:12] + ([f"and {len(said) - 12} more"] if len(said) > 12 else [])
    return f"Pedigree with {people} human cohorts{merged}. " + "; ".join(said) + "."


def _title(described: Mapping[str, Any]) -> str:
    return "Pedigree of " + ", ".join(printable(name) for name in described["roots"][:3])


# --------------------------------------------------------------------------------------------- layout


def _layers(nodes: Mapping[str, Any]) -> list[list[str]]:
    """Names by row: everything below all that it is made from, founders just above what first holds them."""
    row: dict[str, int] = {}
    first: dict[str, int] = {}
    for name, node in nodes.items():  # ancestors come first
        if _is_source(node):
            continue
        parents = [p for p in (*node["parts"], node["base"]) if p]
        row[name] = 1 + max((row[p] for p in parents if p in row), default=0)
        for parent in parents:
            first[parent] = min(first.get(parent, row[name]), row[name])
    for name, node in nodes.items():
        if _is_source(node):
            row[name] = first.get(name, 1) - 1
    layers: list[list[str]] = [[] for _ in range(1 + max(row.values(), default=-1))]
    for name, at in row.items():
        layers[at].append(name)
    return [layer for layer in layers if layer]


def _is_source(node: Mapping[str, Any]) -> bool:
    return not node["parts"] and not node["base"]


def _places(layers: Sequence[Sequence[str]], nodes: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """Left upper corners: what descends stands left, under its parents; founders stand to the right."""
    place: dict[str, tuple[float, float]] = {}
    for depth, layer in enumerate(layers):
        wish: dict[str, tuple[bool, float, str]] = {}
        for name in layer:
            node = nodes[name]
            above = [
                place[p][0] for p in (*node["parts"], node["base"]) if p in place and not _is_source(nodes[p])
            ]
            wish[name] = (_is_source(node), sum(above) / len(above) if above else 0.0, name)
        for at, name in enumerate(sorted(layer, key=wish.__getitem__)):
            place[name] = (MARGIN + SIDE + at * (WIDTH + GAP), MARGIN + depth * (HEIGHT + DROP))
    return place


# -------------------------------------------------------------------------------------------- drawing


class Edge(NamedTuple):
    """A cubic Bézier curve from a parent to what is made from it, and its label."""

    points: tuple[tuple[float, float], ...]
    width: float
    colour: str
    base: bool
    label: str
    at: tuple[float, float]
    anchor: Literal["left", "right"]


class Box(NamedTuple):
    """A cohort: its place, its look, two lines of words, and all of them for a tooltip."""

    x: float
    y: float
    width: float
    height: float
    rounding: float
    fill: str
    ink: str
    dashed: bool
    words: tuple[str, str]
    title: str


class Plan(NamedTuple):
    """Where everything of the picture lies, in pixels, y downwards."""

    width: float
    height: float
    edges: tuple[Edge, ...]
    boxes: tuple[Box, ...]


def layout(described: Mapping[str, Any]) -> Plan:
    """Places of the picture, for whoever draws it.

    Args:
        described: As from `genepool.lineage.describe`.
    """
    nodes = {node["name"]: node for node in described["nodes"]}
    layers = _layers(nodes)
    place = _places(layers, nodes)
    across = max([len(layer) for layer in layers] or [1])
    spans = [
        place[name][1] - place[parent][1]
        for name, node in nodes.items()
        for parent in (*node["parts"], node["base"])
        if parent in place and _aside(place[parent], place[name])
    ]
    longest = max(spans, default=0.0)
    return Plan(
        max(2 * MARGIN + SIDE + across * WIDTH + (across - 1) * GAP, 340),
        2 * MARGIN + len(layers) * HEIGHT + max(0, len(layers) - 1) * DROP,
        tuple(edge for name, node in nodes.items() for edge in _edges(node, place, name, longest)),
        tuple(_box(node, *place[name]) for name, node in nodes.items()),
    )


def _edges(
    node: Mapping[str, Any], place: Mapping[str, tuple[float, float]], name: str, longest: float
) -> Iterator[Edge]:
    x, y = place[name]
    parts = [(p, share, False) for p, share in node["parts"].items()]
    parts += [(node["base"], None, True)] if node["base"] else []
    for parent, share, base in parts:
        if parent not in place:
            continue
        px, py = place[parent]
        label = "base" if base else percent(share)
        wide, colour = 1.2 if share is None else 1 + 3 * share, ACCENT if base else MUTED
        if _aside((px, py), (x, y)):
            # It would run behind the boxes of its own column: round them, the longer the wider.
            far = min(px, x) - SIDE * (0.4 + 0.5 * (y - py) / longest)
            start, end = (px, py + HEIGHT / 2), (x, y + HEIGHT / 2)
            points = (start, (far, start[1]), (far, end[1]), end)
            middle, height = _half(points)
            outer = y - py >= longest  # the words of shorter ones stand within, where no other line runs
            at = middle - 4 if outer else middle + 4
            anchor: Literal["left", "right"] = "right" if outer else "left"
            yield Edge(points, wide, colour, base, label, (at, height), anchor)
            continue
        start, end = (px + WIDTH / 2, py + HEIGHT), (x + WIDTH / 2, y)
        bend = (end[1] - start[1]) / 2
        points = (start, (start[0], start[1] + bend), (end[0], end[1] - bend), end)
        middle, height = _half(points)
        lift = 8 if abs(px - x) > WIDTH / 2 else 0  # off a line that runs sideways
        yield Edge(points, wide, colour, base, label, (middle + 5, height - lift), "left")


def _aside(parent: tuple[float, float], child: tuple[float, float]) -> bool:
    """Whether a straight edge would cross other boxes of its column."""
    return abs(parent[0] - child[0]) < WIDTH / 2 and child[1] - parent[1] > HEIGHT + DROP + 1


def _half(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Half way along the curve (Bézier at t = ½)."""
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = points
    return (ax + 3 * bx + 3 * cx + dx) / 8, (ay + 3 * by + 3 * cy + dy) / 8


def _line(edge: Edge) -> list[str]:
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = edge.points
    dash = ' stroke-dasharray="5 4"' if edge.base else ""
    anchor = 'text-anchor="end" ' if edge.anchor == "right" else ""
    return [
        f'<path d="M{ax:.1f} {ay:.1f}C{bx:.1f} {by:.1f} {cx:.1f} {cy:.1f} {dx:.1f} {dy:.1f}" '
        f'fill="none" stroke="{edge.colour}" stroke-width="{edge.width:.1f}" stroke-opacity=".7"{dash}/>',
        f'<text x="{edge.at[0]:.1f}" y="{edge.at[1] + 4:.1f}" font-size="11" '
        f'{anchor}fill="{MUTED}">{escape(edge.label)}</text>',
    ]


def _box(node: Mapping[str, Any], x: float, y: float) -> Box:
    fill, ink = _colours(node)
    kind = node["kind"]
    return Box(
        x,
        y,
        WIDTH,
        HEIGHT,
        HEIGHT / 2 if kind == "founders" else 8 if kind == "model" else 1,
        fill,
        ink,
        kind == "unknown" or node["generation"][1] is None,
        (printable(node["name"], 18), _short(node)),
        printable(node["name"]) + ": " + words(node),
    )


def _node(box: Box) -> list[str]:
    dash = ' stroke-dasharray="4 3"' if box.dashed else ""
    middle = box.x + box.width / 2
    return [
        f"<g><title>{escape(box.title)}</title>"
        f'<rect x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width}" height="{box.height}" '
        f'rx="{box.rounding:g}" fill="{box.fill}" stroke="{MUTED}" stroke-width="1.2"{dash}/>',
        f'<text x="{middle:.1f}" y="{box.y + 19:.1f}" text-anchor="middle" font-weight="600" '
        f'fill="{box.ink}">{escape(box.words[0])}</text>',
        f'<text x="{middle:.1f}" y="{box.y + 36:.1f}" text-anchor="middle" font-size="11" '
        f'fill="{box.ink}">{escape(box.words[1])}</text></g>',
    ]


def _short(node: Mapping[str, Any]) -> str:
    if node["kind"] == "founders":
        return f"{node['size'] or 0:,.0f} by people"
    f = node["inbreeding"]
    return generation(node) + ("" if f is None else f" · F {f['value']:.2f}")


def _colours(node: Mapping[str, Any]) -> tuple[str, str]:
    """Fill and text; nodes without F are left white."""
    if node["kind"] == "founders":
        return "#dbe9f4", DARK
    f = node["inbreeding"]
    if f is None:
        return "#ffffff", DARK
    red, green, blue = _ramp(f["value"])
    # Relative luminance (WCAG 2.2, without the gamma): dark fills carry white words.
    dark = 0.2126 * red + 0.7152 * green + 0.0722 * blue < 110
    return f"#{red:02x}{green:02x}{blue:02x}", "#ffffff" if dark else DARK


def _ramp(f: float) -> tuple[int, int, int]:
    f = min(max(f, 0.0), _RAMP[-1][0])
    for (low, one), (high, two) in itertools.pairwise(_RAMP):
        if f <= high:
            t = (f - low) / (high - low)
            red, green, blue = (round(a + t * (b - a)) for a, b in zip(one, two, strict=True))
            return red, green, blue
    return _RAMP[-1][1]


def _legend(height: float) -> list[str]:
    """What the colour of a model means."""
    y = height - LEGEND + 8
    out = [f'<text x="{MARGIN}" y="{y + 11:.1f}" font-size="11" fill="{MUTED}">inbreeding F</text>']
    for i, f in enumerate((0.0, 0.125, 0.25, 0.375, 0.5)):
        red, green, blue = _ramp(f)
        x = MARGIN + 78 + i * 46
        out.append(
            f'<rect x="{x}" y="{y:.1f}" width="14" height="14" rx="2" stroke="{MUTED}" stroke-width=".6" '
            f'fill="#{red:02x}{green:02x}{blue:02x}"/>'
        )
        label = f"{f:g}".replace("0.", ".") + ("+" if i == 4 else "")
        out.append(f'<text x="{x + 18}" y="{y + 11:.1f}" font-size="11" fill="{MUTED}">{label}</text>')
    return out
