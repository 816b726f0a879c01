"""A described pedigree as text: what a cohort is made from, indented, every cohort spelled out once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["tree"]

DEEP = 40
"""Levels that are indented; what lies deeper is named and left there."""


def tree(described: Mapping[str, Any]) -> list[str]:
    """Lines for a terminal, each root followed by what it is made from.

    Args:
        described: As from `genepool.lineage.describe`.
    """
    nodes = {node["name"]: node for node in described["nodes"]}
    seen: set[str] = set()
    lines: list[str] = []
    for root in described["roots"]:
        if root not in nodes:
            continue
        # (name, words before it, indent of its line, indent below it, depth)
        stack: list[tuple[str, str, str, str, int]] = [(root, "", "", "", 0)]
        while stack:
            name, share, own, below, depth = stack.pop()
            node = nodes.get(name)
            again = node is not None and name in seen and bool(node["parts"] or node["base"])
            numbers = "" if node is None else "(above)" if again else words(node)
            lines.append(f"{own}{share}{printable(name)}  {numbers}".rstrip())
            if node is None or again:
                continue
            seen.add(name)
            made = _made_from(node)
            if made and depth >= DEEP:
                lines.append(f"{below}└─ … further back: genepool lineage {printable(name)}")
                continue
            for i, (parent, text) in reversed(list(enumerate(made))):
                head, tail = ("└─ ", "   ") if i == len(made) - 1 else ("├─ ", "│  ")
                stack.append((parent, text, below + head, below + tail, depth + 1))
    return lines


def _made_from(node: Mapping[str, Any]) -> list[tuple[str, str]]:
    made = [(node["base"], "base ")] if node["base"] else []
    ranked = sorted(node["parts"].items(), key=lambda item: (-(item[1] or 0.0), item[0]))
    made += [(part, f"{percent(share)} ") for part, share in ranked]
    if node["rest"] > 1e-9 and node["kind"] != "founders":
        made.append(("of unknown origin", f"{percent(node['rest'])} "))
    return made


def words(node: Mapping[str, Any]) -> str:
    """A node's numbers in a few words."""
    if node["kind"] == "founders":
        return f"human work, {node['size'] or 0:,.0f} images"
    parts = [f"{'' if node['kind'] == 'unknown' else node['kind'] + ', '}{generation(node)}"]
    if node["mean_generation"] is not None:
        parts.append(f"mean {node['mean_generation']:.2f}")
    if (f := node["inbreeding"]) is not None:
        wide = f["upper"] - f["lower"] > 0.0005
        parts.append(f"F {f['value']:.3f}" + (f" [{f['lower']:.3f}, {f['upper']:.3f}]" if wide else ""))
    if node["retention"] is not None:
        parts.append(_retained(node))
    if node["human_share"] is not None and node["kind"] == "dataset":
        parts.append(f"human roots {node['human_share']:.0%}")
    return " · ".join(parts)


def _retained(node: Mapping[str, Any]) -> str:
    """Unknown ancestry counts as nothing retained: where there is some, the number is a lower bound."""
    whole = node["human_share"] is not None and node["human_share"] > 1 - 1e-9
    if whole:
        return f"retains {node['retention']:.2f}"
    return f"retains at least {node['retention']:.2f}" if node["retention"] >= 0.005 else "retention unknown"


def generation(node: Mapping[str, Any]) -> str:
    """``gen 2``, ``gen 1 to 3``, ``gen 1 or later``."""
    lo, hi = node["generation"]
    if hi is None:
        return f"gen {lo} or later"
    return f"gen {lo}" if lo == hi else f"gen {lo} to {hi}"


def percent(share: float | None) -> str:
    """A share as people read it; never 0 % for what is there."""
    if share is None:
        return "? %"
    if 0 < share < 0.005:
        return "<1 %"
    return f"{share:.0%}".replace("%", " %")


def printable(text: str, limit: int = 60) -> str:
    """A name without control characters, cut where it is long."""
    clean = "".join(c if c.isprintable() else "·" for c in text)
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"
