"""Generations, unknown ancestry, cycles, JSON."""

import itertools
import json
import math

import pytest

from genepool.errors import MeasureError, UsageError
from genepool.lineage import Pedigree, required_human_ratio, steady_inbreeding, steady_retention


def chain(length):
    p = Pedigree()
    p.add_founders("human", 1000)
    for i in range(1, length + 1):
        p.add_model(f"M{i}", trained_on="human" if i == 1 else f"M{i - 1}")
    return p


def test_a_chain_of_ten_reads_ten():
    p = chain(10)
    assert [p.generation(f"M{i}") for i in range(1, 11)] == [(i, i) for i in range(1, 11)]
    assert p.mean_generation("M10") == pytest.approx(10)
    assert p.human_share("M10") == pytest.approx(1.0)
    assert p.direct_human_share("M10") == 0.0


def test_the_seeds_chain_with_growing_synthetic_shares():
    p = Pedigree()
    p.add_founders("human", 5000)
    p.add_model("M1", "human")
    for i, share in ((2, 0.50), (3, 0.80), (4, 0.95)):
        p.add_dataset(f"D{i}", {"human": 1 - share, f"M{i - 1}": share})
        p.add_model(f"M{i}", f"D{i}")
    assert [p.generation(f"M{i}") for i in (1, 2, 3, 4)] == [(i, i) for i in (1, 2, 3, 4)]
    assert p.generation("D4") == (3, 3)
    assert p.mean_generation("D2") == pytest.approx(0.5)
    assert p.mean_generation("M2") == pytest.approx(1.5)
    assert p.mean_generation("M4") == pytest.approx(1 + 0.95 * (1 + 0.8 * 1.5))
    assert p.direct_human_share("D4") == pytest.approx(0.05)
    # Every step loses b²; the fresh human share of D4 keeps it above the pure chain.
    b2 = 0.8
    v3 = b2 * (0.2 + 0.8 * b2 * (0.5 + 0.5 * b2))
    assert p.expected_retention("D4", b2) == pytest.approx(0.05 + 0.95 * v3)
    assert p.expected_retention("M1", b2) == pytest.approx(b2)


def test_one_stray_image_raises_the_maximum_but_hardly_the_mean():
    p = chain(1)
    p.add_dataset("D", {"human": 0.999, "M1": 0.001})
    p.add_model("M", "D")
    assert p.generation("M") == (2, 2)
    assert p.mean_generation("M") == pytest.approx(1.001)


@pytest.mark.parametrize(
    ("trained_on", "base", "expected"),
    [
        (None, None, (1, None)),
        ("nobody", None, (1, None)),
        ({"human": 0.6}, None, (1, None)),
        ({"human": 0.6, "nobody": 0.4}, None, (1, None)),
        ({"M3": 0.5, "nobody": 0.5}, None, (4, None)),
        ("human", "nobody", (1, None)),
        ({"human": None, "M3": None}, None, (4, 4)),
        ("human", None, (1, 1)),
        ("human", "M3", (3, 3)),
        ("M3", "M1", (4, 4)),
        ("human", "D", (3, 3)),
        ({"human": 1.0, "M3": 0.0}, None, (1, 1)),
    ],
)
def test_generation_of_a_model(trained_on, base, expected):
    p = chain(3)
    p.add_dataset("D", {"human": 0.5, "M2": 0.5})
    p.add_model("X", trained_on, base)
    assert p.generation("X") == expected


def test_unknown_ancestry_is_never_innocence():
    p = chain(1)
    p.add_model("X", {"human": 0.7, "stray": 0.3}, base="M1")
    assert p.unknown == ("stray",)
    assert p.human_share("X") == pytest.approx(0.85)
    assert math.isnan(p.mean_generation("X"))
    assert math.isnan(p.inbreeding("X"))
    assert math.isnan(p.kinship("X", "human"))
    assert math.isnan(p.founder_genome_equivalents("X"))
    assert p.expected_retention("X", 1.0) == pytest.approx(0.85)
    assert p.generation("stray") == (0, None)
    # Once it is registered, everything follows.
    p.add_founders("stray", 10)
    assert p.unknown == ()
    assert p.generation("X") == (1, 1)
    assert p.human_share("X") == pytest.approx(1.0)
    assert p.inbreeding("X") >= 0


def test_shares_that_nobody_knows_give_bounds_or_nothing():
    p = chain(1)
    p.add_dataset("D", {"human": None, "M1": None})
    assert p.generation("D") == (1, 1)
    assert math.isnan(p.mean_generation("D"))
    assert math.isnan(p.mean_kinship("D"))
    assert p.direct_human_share("D") == 0.0
    assert p.expected_retention("D", 0.5) == 0.5


def test_cycles_are_refused_and_named():
    p = Pedigree()
    p.add_dataset("D", {"M2": 1.0})
    p.add_model("M1", "D")
    with pytest.raises(UsageError, match="no cycle, found M2 → D → M1 → M2"):
        p.add_model("M2", "M1")
    assert "M2" not in p
    p.add_model("M2", "other")
    assert p.generation("M1") == (2, None)
    with pytest.raises(UsageError, match="A → A"):
        p.add_model("A", {"A": 0.5, "M1": 0.5})
    with pytest.raises(UsageError, match="A → A"):
        p.add_model("A", "M1", base="A")
    p.add_model("B", "other", base="C")
    with pytest.raises(UsageError, match="C → B → C"):
        p.add_dataset("C", {"B": 1.0})


@pytest.mark.parametrize(
    "call",
    [
        lambda p: p.add_founders("human", 3),
        lambda p: p.add_founders("f", 0),
        lambda p: p.add_founders("f", math.inf),
        lambda p: p.add_founders("", 2),
        lambda p: p.add_founders("f", True),
        lambda p: p.add_dataset("D", {"human": 0.7, "M1": 0.4}),
        lambda p: p.add_dataset("D", {"human": -0.1}),
        lambda p: p.add_dataset("D", {"human": math.nan}),
        lambda p: p.add_dataset("D", {"human": "half"}),
        lambda p: p.add_dataset("D", {}),
        lambda p: p.add_dataset("D", {"human": 0.0}),
        lambda p: p.add_dataset("D", {3: 0.5}),
        lambda p: p.add_dataset("D", ["human"]),
        lambda p: p.add_model("M", "human", effective_size=0.5),
        lambda p: p.generation("nobody"),
        lambda p: p.kinship("human", "nobody"),
        lambda p: p.human_share("M2"),
    ],
)
def test_impossible_input_is_refused(call):
    p = chain(1)
    before = p.to_json()
    with pytest.raises(UsageError, match="pedigree"):
        call(p)
    assert p.to_json() == before


def test_a_mistyped_name_gets_its_neighbour():
    with pytest.raises(UsageError) as caught:
        chain(1).generation("humna")
    assert "'human'" in caught.value.hint


def test_json_in_any_order():
    p = chain(2)
    p.add_dataset("D", {"human": 0.25, "M2": 0.5})
    p.add_model("X", {"D": None, "M1": None}, base="M2", effective_size=40)
    p.add_model("Y", None)
    data = json.loads(json.dumps(p.to_json()))
    for nodes in (data["nodes"], data["nodes"][::-1]):
        again = Pedigree.from_json({**data, "nodes": nodes})
        assert len(again) == len(p)
        for name in p.names:
            assert again.generation(name) == p.generation(name)
            assert again.human_share(name) == pytest.approx(p.human_share(name))
    assert Pedigree.from_json(data).to_json() == p.to_json()


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        {"schema": "genepool.pedigree/1"},
        {"schema": "genepool.pedigree/1", "nodes": [{"kind": "founders", "name": "a"}]},
        {"schema": "genepool.pedigree/1", "nodes": ["a"]},
        {"schema": "genepool.pedigree/1", "nodes": [{"kind": "cat", "name": "a"}]},
        {
            "schema": "genepool.pedigree/1",
            "nodes": [
                {"kind": "model", "name": "a", "trained_on": {"b": 1.0}},
                {"kind": "model", "name": "b", "trained_on": {"a": 1.0}},
            ],
        },
    ],
)
def test_json_that_is_something_else_is_refused(data):
    with pytest.raises(UsageError, match="pedigree"):
        Pedigree.from_json(data)


def test_a_chain_of_ten_thousand_is_no_recursion():
    p = Pedigree()
    p.add_founders("human", 10)
    names = ["human"] + [f"D{i}" for i in range(10_000)]
    for parent, name in itertools.pairwise(names):
        p.add_dataset(name, parent)
    assert p.generation("D9999") == (0, 0)
    assert p.founder_genome_equivalents("D9999") == pytest.approx(10)


# ------------------------------------------------------------------------------------ closed forms


@pytest.mark.parametrize("b2", [0.3, 0.8, 0.97, 1.0])
@pytest.mark.parametrize("target", [0.0, 0.2, 0.7, 0.99])
def test_required_human_ratio_solves_the_steady_state(b2, target):
    h = required_human_ratio(b2, target)
    assert 0 <= h <= 1
    assert steady_retention(h, b2) >= target - 1e-12
    if b2 < 1 and target > 0:
        assert steady_retention(h, b2) == pytest.approx(target)
        assert steady_retention(h * 0.99, b2) < target


def test_the_steady_state_is_where_the_chain_ends():
    h, b2, v = 0.3, 0.85, 1.0
    for _ in range(400):
        v = h + (1 - h) * b2 * v
    assert steady_retention(h, b2) == pytest.approx(v)
    p = Pedigree()
    p.add_founders("human", 1e9)
    p.add_model("M0", "human")
    for i in range(1, 120):
        p.add_dataset(f"D{i}", {"human": h, f"M{i - 1}": 1 - h})
        p.add_model(f"M{i}", f"D{i}")
    assert p.expected_retention("D119", b2) == pytest.approx(v, abs=1e-9)


@pytest.mark.parametrize(
    "call", [lambda: required_human_ratio(0.0, 0.5), lambda: required_human_ratio(0.5, 1.1)]
)
def test_retention_outside_its_range_is_refused(call):
    with pytest.raises(MeasureError):
        call()
    with pytest.raises(MeasureError):
        chain(1).expected_retention("M1", 1.5)
    with pytest.raises(MeasureError):
        steady_inbreeding(0.5, 0.5)
