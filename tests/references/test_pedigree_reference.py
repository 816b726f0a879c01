"""Kinship and inbreeding against textbook values, an independent recursion, gene dropping, closed forms."""

import functools

import numpy as np
import pytest

from genepool.lineage import Pedigree, steady_inbreeding


def mating(pedigree, child, sire, dam):
    pedigree.add_model(child, trained_on=dam, base=sire)


@pytest.fixture
def family():
    p = Pedigree()
    for founder in "ABXY":
        p.add_founders(founder, 1)
    mating(p, "C", "A", "B")
    mating(p, "D", "A", "B")
    return p


def test_full_sibs(family):
    # D. S. Falconer and T. F. C. Mackay, Introduction to Quantitative Genetics, 4th ed., ch. 5.
    assert family.kinship("A", "A") == 0.5
    assert family.kinship("A", "B") == 0.0
    assert family.kinship("C", "D") == 0.25
    assert family.kinship("A", "C") == 0.25
    mating(family, "E", "C", "D")
    assert family.inbreeding("C") == 0.0
    assert family.inbreeding("E") == 0.25
    # Repeated full-sib mating: F = .25, .375, .5, .594 (Wright 1921; Falconer table 5.1).
    mating(family, "F", "C", "D")
    mating(family, "G", "E", "F")
    mating(family, "H", "E", "F")
    mating(family, "I", "G", "H")
    mating(family, "J", "G", "H")
    mating(family, "K", "I", "J")
    assert family.inbreeding("G") == pytest.approx(0.375, abs=1e-15)
    assert family.inbreeding("I") == pytest.approx(0.5, abs=1e-15)
    assert family.inbreeding("K") == pytest.approx(0.59375, abs=1e-15)


def test_backcross(family):
    # Repeated backcross to one parent: F = .25, .375, .4375 → .5.
    mating(family, "P", "A", "C")
    mating(family, "Q", "A", "P")
    mating(family, "R", "A", "Q")
    assert [family.inbreeding(n) for n in "PQR"] == [0.25, 0.375, 0.4375]


def test_half_sibs_cousins_and_selfing(family):
    mating(family, "hs1", "A", "X")
    mating(family, "hs2", "A", "Y")
    mating(family, "hs", "hs1", "hs2")
    assert family.inbreeding("hs") == 0.125
    mating(family, "c1", "C", "X")
    mating(family, "c2", "D", "Y")
    mating(family, "cousin", "c1", "c2")
    assert family.inbreeding("cousin") == 0.0625
    family.add_model("self", trained_on="A")
    family.add_model("self2", trained_on="self")
    assert [family.inbreeding("self"), family.inbreeding("self2")] == [0.5, 0.75]


def random_pedigree(rng, founders, children):
    names = [f"f{i}" for i in range(founders)]
    parents = {}
    for i in range(children):
        sire, dam = rng.integers(0, len(names), 2)
        parents[f"c{i}"] = (names[sire], names[dam])
        names.append(f"c{i}")
    p = Pedigree()
    for name in names[:founders]:
        p.add_founders(name, 1)
    for child, (sire, dam) in parents.items():
        mating(p, child, sire, dam)
    return p, names, parents


@pytest.mark.parametrize("seed", range(6))
def test_random_two_parent_pedigrees_against_the_recursive_definition(seed):
    p, names, parents = random_pedigree(np.random.default_rng(seed), 5, 40)
    age = {name: i for i, name in enumerate(names)}

    @functools.cache
    def kinship(a, b):
        if a == b:
            return (1 + (kinship(*parents[a]) if a in parents else 0.0)) / 2
        young, old = (a, b) if age[a] > age[b] else (b, a)
        return sum(kinship(parent, old) for parent in parents[young]) / 2 if young in parents else 0.0

    for a in names:
        assert p.inbreeding(a) == pytest.approx(kinship(*parents[a]) if a in parents else 0.0, abs=1e-12)
        for b in names:
            assert p.kinship(a, b) == pytest.approx(kinship(a, b), abs=1e-12)


def test_gene_dropping_agrees():
    # 20,000 gene drops; the standard error of a share is at most .0036, four of them are allowed.
    rng = np.random.default_rng(7)
    p, names, parents = random_pedigree(rng, 6, 25)
    drops = 20_000
    genes = {}
    for i, name in enumerate(names):
        if name in parents:
            genes[name] = np.stack(
                [genes[q][rng.integers(0, 2, drops), np.arange(drops)] for q in parents[name]]
            )
        else:
            genes[name] = np.stack([np.full(drops, 2 * i), np.full(drops, 2 * i + 1)])
    for name in names:
        assert p.inbreeding(name) == pytest.approx((genes[name][0] == genes[name][1]).mean(), abs=0.0145)
    members = dict.fromkeys(names[-10:], 1 / 10)
    p.add_dataset("set", members)
    pool = np.concatenate([genes[name] for name in names[-10:]])
    same = np.mean(
        [np.mean(pool[rng.integers(0, 20, drops), np.arange(drops)] == pool[j]) for j in range(20)]
    )
    assert p.mean_kinship("set") == pytest.approx(same, abs=0.01)
    assert p.founder_genome_equivalents("set") == pytest.approx(1 / (2 * p.mean_kinship("set")))


def test_mixtures_drop_genes_too():
    # A model of effective size 3 trained on a mixture, dropped as three individuals with random parents.
    rng = np.random.default_rng(11)
    drops = 40_000
    p = Pedigree()
    p.add_founders("a", 2)
    p.add_founders("b", 1)
    p.add_dataset("D", {"a": 0.7, "b": 0.3})
    p.add_model("M", "D", effective_size=3)
    p.add_model("N", {"M": 0.6, "b": 0.4})

    def founder():
        pick = np.where(rng.random(drops) < 0.7, rng.integers(0, 2, drops), 2)
        return 2 * pick + rng.integers(0, 2, drops)

    model = np.array([[founder(), founder()] for _ in range(3)])  # individual, gene, drop

    def second():
        mine = model[rng.integers(0, 3, drops), rng.integers(0, 2, drops), np.arange(drops)]
        return np.where(rng.random(drops) < 0.6, mine, 4 + rng.integers(0, 2, drops))

    assert p.inbreeding("M") == pytest.approx((model[0][0] == model[0][1]).mean(), abs=0.012)
    one, two = (
        model[rng.integers(0, 3, drops), rng.integers(0, 2, drops), np.arange(drops)] for _ in range(2)
    )
    assert p.mean_kinship("M") == pytest.approx((one == two).mean(), abs=0.012)
    assert p.inbreeding("N") == pytest.approx((second() == second()).mean(), abs=0.012)


@pytest.mark.parametrize(("h", "size"), [(0.3, 5.0), (0.05, 20.0), (0.7, 1.0)])
def test_steady_state_of_inbreeding(h, size):
    # F* = (1−h)²/(N−(N−1)(1−h)²) with N = 2·effective size genomes and unrelated fresh founders.
    p = Pedigree()
    p.add_founders("first", 1e15)
    p.add_model("M0", "first", effective_size=size)
    steps = 300
    for i in range(1, steps):
        p.add_founders(f"fresh{i}", 1e15)
        p.add_dataset(f"D{i}", {f"fresh{i}": h, f"M{i - 1}": 1 - h})
        p.add_model(f"M{i}", f"D{i}", effective_size=size)
    assert p.inbreeding(f"M{steps - 1}") == pytest.approx(steady_inbreeding(h, 2 * size), abs=1e-9)


def test_founder_numbers_of_a_founder_pool():
    p = Pedigree()
    p.add_founders("small", 15)
    p.add_founders("large", 1000)
    assert p.founder_genome_equivalents("small") == pytest.approx(15)
    p.add_dataset("half", {"small": 0.5, "large": 0.5})
    # Lacy 1989: without loss of genes, founder genome equivalents are founder equivalents.
    assert p.founder_equivalents("half") == pytest.approx(1 / (0.25 / 15 + 0.25 / 1000))
    assert p.founder_genome_equivalents("half") == pytest.approx(p.founder_equivalents("half"))
    p.add_model("M", "half", effective_size=10)
    assert p.founder_equivalents("M") == pytest.approx(p.founder_equivalents("half"))
    assert p.founder_genome_equivalents("M") < p.founder_equivalents("M")
