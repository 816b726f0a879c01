"""How many workers an actor holds, and on which nodes there is room for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

TEAM = 4
"""Largest number of workers in one actor: Ray's own runtime in it (about 90 MB) is then paid for once."""


def rooms(nodes: Iterable[Mapping[str, Any]], gpus: float) -> list[int]:
    """For how many workers each living node has CPUs, and GPUs where they are asked for; 0 is left out.

    Args:
        nodes: What ``ray.nodes()`` answers.
        gpus: GPUs, or a share of one, that each worker asks for.
    """
    found = []
    for node in nodes:
        has = node["Resources"]
        n = int(has.get("CPU", 0))
        if gpus:
            cards = int(has.get("GPU", 0))
            n = min(n, cards * _sharers(gpus) if gpus < 1 else int(cards / gpus))
        if node["Alive"] and n > 0:
            found.append(n)
    return found


def largest(gpus: float) -> int:
    """Most workers that an actor may hold: those who share a card, and one where each has cards of its own.

    An actor sees all cards that it is given, and so would each of its workers.
    """
    return TEAM if not gpus else 1 if gpus >= 1 else min(TEAM, _sharers(gpus))


def teams(wanted: int, free: Sequence[int], held: Iterable[int], most: int) -> list[int]:
    """Sizes of the actors to be asked for, largest first; together they are ``wanted``.

    Args:
        wanted: Workers to be placed.
        free: Workers for which each node has room when empty, see `rooms`.
        held: Sizes of the actors that stand, or are on their way to a node.
        most: See `largest`.

    Workers are spread evenly over the nodes, and each node's share is put into as few actors as may be. Those
    for which there is no room come one by one: they may wait for nodes that are yet to join.
    """
    left = sorted(free)
    for size in sorted(held, reverse=True):
        # Where they stand is Ray's secret: taken to be the narrowest place that fits.
        fits = next((i for i, room in enumerate(left) if room >= size), len(left) - 1)
        if left:
            left[fits] = max(0, left[fits] - size)
            left.sort()
    shares = [0] * len(left)
    missing = wanted
    while missing and (open_ := [i for i, room in enumerate(left) if shares[i] < room]):
        for i in open_[:missing]:
            shares[i] += 1
            missing -= 1
    sizes = [1] * missing
    for share in shares:
        parts = -(-share // most)
        sizes += [share // parts + (i < share % parts) for i in range(parts)]
    return sorted(sizes, reverse=True)


def _sharers(gpus: float) -> int:
    return max(1, int(1 / gpus + 1e-9))
