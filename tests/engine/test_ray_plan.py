"""Which actors are asked for: pure arithmetic, no Ray."""

from __future__ import annotations

import random
from typing import Any

import pytest

from genepool.engine._ray_plan import TEAM, largest, rooms, teams


@pytest.mark.parametrize(
    ("wanted", "free", "held", "sizes"),
    [
        (2, [2], [], [2]),  # two workers on one node: one actor
        (2, [1, 1], [], [1, 1]),
        (2, [8, 8], [], [1, 1]),  # spread first
        (8, [8], [], [4, 4]),
        (6, [6], [], [3, 3]),  # not 4 and 2
        (5, [5], [], [3, 2]),
        (10, [8, 2], [], [4, 4, 2]),
        (5, [64, 64], [], [3, 2]),
        (3, [1], [], [1, 1, 1]),  # more than there is room for: they wait one by one
        (3, [], [], [1, 1, 1]),  # a cluster that is yet to grow
        (4, [4, 4], [4], [4]),  # one of two actors was lost
        (8, [8, 8], [4, 4], [4, 4]),  # a node joins
        (2, [2, 3], [3], [2]),
        (1, [2], [2, 1], [1]),  # more is held than there is room for: a node left
        (0, [4], [], []),
    ],
)
def test_sizes(wanted: int, free: list[int], held: list[int], sizes: list[int]) -> None:
    assert teams(wanted, free, held, TEAM) == sizes


def packs(sizes: tuple[int, ...], free: tuple[int, ...]) -> bool:
    """Whether all of them find room: every way is tried."""
    if not sizes:
        return True
    return any(
        room >= sizes[0] and packs(sizes[1:], (*free[:i], room - sizes[0], *free[i + 1 :]))
        for i, room in enumerate(free)
    )


def test_sizes_add_up_and_fit_whatever_the_nodes() -> None:
    rng = random.Random(5)
    for _ in range(300):
        free = [rng.randint(1, 9) for _ in range(rng.randint(0, 4))]
        wanted, most = rng.randint(0, 40), rng.randint(1, TEAM)
        sizes = teams(wanted, free, [], most)
        assert sum(sizes) == wanted
        assert all(1 <= size <= most for size in sizes)
        beyond = max(0, wanted - sum(free))
        assert sizes[len(sizes) - beyond :] == [1] * beyond
        assert packs(tuple(sizes[: len(sizes) - beyond]), tuple(free))
        if beyond:  # every node is full, with as few actors as may be
            assert len(sizes) - beyond == sum(-(-room // most) for room in free)


def node(cpus: float, gpus: float = 0.0, *, alive: bool = True) -> dict[str, Any]:
    return {"Alive": alive, "Resources": {"CPU": cpus, "memory": 1e9, **({"GPU": gpus} if gpus else {})}}


def test_room_is_what_living_nodes_have() -> None:
    nodes = [node(0.0), node(4.0, 1.0), node(2.0), node(8.0, alive=False), {"Alive": False, "Resources": {}}]
    assert rooms(nodes, 0.0) == [4, 2]
    assert rooms(nodes, 1.0) == [1]
    assert rooms(nodes, 0.25) == [4]
    assert rooms([node(16.0, 2.0)], 0.4) == [4]  # two on each card: shares of two cards are no card
    assert rooms([node(16.0, 5.0)], 2.0) == [2]


@pytest.mark.parametrize(
    ("gpus", "most"), [(0.0, 4), (0.1, 4), (0.25, 4), (1 / 3, 3), (0.4, 2), (0.7, 1), (2.0, 1)]
)
def test_those_in_one_actor_see_the_same_card(gpus: float, most: int) -> None:
    assert largest(gpus) == most
    assert gpus >= 1 or largest(gpus) * gpus <= 1 + 1e-9
