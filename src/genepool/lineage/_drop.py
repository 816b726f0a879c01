"""Gene dropping: coefficients of pedigrees of any size, by chance, with an interval.

J. W. MacCluer et al., "Pedigree analysis by computer simulation", Zoo Biology 5 (1986) 147: give every
founder gene a label, hand genes down at random, count how often two genes carry one label. Here two genes are
followed *back* from where they are compared to where they come from (the same distribution, J. F. C. Kingman,
J. Appl. Prob. 19A (1982) 27), so that the cost is the depth of the pedigree and not its size.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from genepool.lineage._kinship import Slots
from genepool.lineage._sparse import rows
from genepool.records import Estimate
from genepool.stats import clopper_pearson

__all__ = ["DROPS", "Descent", "drop_genes"]

DROPS = 100_000
"""Gene drops when nobody says how many: a coefficient of .25 comes with ± .003."""


class Descent:
    """Where a gene of a cohort comes from, by chance.

    Columns are founders, then models (ancestors first), then datasets; each model has two rows of weights,
    one a slot, and each dataset one.

    Args:
        founders: Cohort → number of founders.
        datasets: Name → weights.
        models: Name → slots, ancestors first.
    """

    def __init__(
        self,
        founders: Mapping[str, float],
        datasets: Mapping[str, Mapping[str, float]],
        models: Mapping[str, Slots],
    ) -> None:
        self.column = {name: i for i, name in enumerate((*founders, *models, *datasets))}
        self.founders, self.models = len(founders), len(models)
        self.size = np.array([*founders.values(), *(slots.size for slots in models.values())], np.float64)
        mixtures = [slots.first for slots in models.values()]
        mixtures += [slots.second for slots in models.values()]
        mixtures += list(datasets.values())
        table = rows(mixtures, self.column)
        lengths = np.diff(table.indptr)
        row = np.repeat(np.arange(len(mixtures)), lengths)
        total = np.cumsum(table.data)
        before = np.concatenate(([0.0], total))[table.indptr[:-1]]
        whole = np.bincount(row, table.data, len(mixtures))
        # Row r's entries end at r + (cumulative share): one sorted array, searched for r + u.
        self._ends = row + (total - before[row]) / np.where(whole, whole, 1.0)[row]
        self._last = table.indptr[1:] - 1
        self._first = table.indptr[:-1]
        self._indices = table.indices

    def _draw(self, row: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """One entry of each row by its weight, followed through datasets to a founder cohort or a model."""
        leaf = self.founders + self.models
        found = np.empty(len(row), np.int64)
        left = np.arange(len(row))
        while len(left):
            at = np.searchsorted(self._ends, row + rng.random(len(row)), "right")
            column = self._indices[np.clip(at, self._first[row], self._last[row])].astype(np.int64)
            found[left] = column
            inside = column >= leaf
            left = left[inside]
            row = column[inside] - self.founders + self.models
        return found

    def draw(self, name: str, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Founder cohorts or models that ``count`` images of a cohort belong to."""
        column = self.column[name]
        if column < self.founders + self.models:
            return np.full(count, column, np.int64)
        return self._draw(np.full(count, column - self.founders + self.models, np.int64), rng)

    def parent(
        self, at: NDArray[np.int64], slot: NDArray[np.int64], rng: np.random.Generator
    ) -> NDArray[np.int64]:
        """Where the gene in a slot (0 or 1) of an image of each model comes from."""
        return self._draw(at - self.founders + slot * self.models, rng)


def drop_genes(
    descent: Descent,
    a: str,
    b: str | None,
    *,
    drops: int = DROPS,
    seed: int = 0,
    alpha: float = 0.05,
) -> Estimate:
    """How often two genes are copies of one founder gene.

    Args:
        descent: The pedigree.
        a: Cohort of the first image.
        b: Cohort of the second image; None: both genes of one image of ``a``, which is its inbreeding.
        drops: Number of pairs.
        seed: Of the random generator.
        alpha: 1 − confidence of the Clopper–Pearson interval.
    """
    rng = np.random.default_rng(seed)
    one = descent.draw(a, drops, rng)
    same = np.zeros(drops, np.bool_)
    going = np.arange(drops)
    if b is None:
        going = going[one >= descent.founders]  # the genes of a founder are unrelated
        image = one[going]
        one = descent.parent(image, np.zeros(len(image), np.int64), rng)
        two = descent.parent(image, np.ones(len(image), np.int64), rng)
    else:
        two = descent.draw(b, drops, rng)
    while len(going):
        met, one, two, keep = _step(descent, one, two, rng)
        same[going[met]] = True
        going = going[keep]
    k = int(same.sum())
    lower, upper = clopper_pearson(k, drops, alpha)
    method = f"gene drop, {drops:,} pairs of genes, Clopper–Pearson (MacCluer et al. 1986)"
    return Estimate(k / drops, lower, upper, drops, method, alpha)


def _step(
    descent: Descent, one: NDArray[np.int64], two: NDArray[np.int64], rng: np.random.Generator
) -> tuple[NDArray[np.bool_], NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Follow the younger gene of each pair one model back; who met in one gene, and who goes on."""
    n = len(one)
    young = np.maximum(one, two)
    together, founder = one == two, young < descent.founders
    # Two genes of one cohort of founders, or of one model: of one image with probability 1/size, and then of
    # one gene with probability one half.
    near = together & (rng.random(n) < 1.0 / descent.size[young])
    met = near & (rng.random(n) < 0.5)
    keep = ~founder & ~met
    one, two, young, together, near = (x[keep] for x in (one, two, young, together, near))
    slot = rng.integers(0, 2, (2, len(one)))
    slot[:, near] = [[0], [1]]  # both genes of one image: one from each slot
    first, second = together | (one == young), together | (two == young)
    one, two = one.copy(), two.copy()
    one[first] = descent.parent(young[first], slot[0, first], rng)
    two[second] = descent.parent(young[second], slot[1, second], rng)
    return met, one, two, keep
