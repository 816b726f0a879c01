"""The pedigree of cohorts: who was trained on whom, and what that did to the images."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from genepool.errors import MeasureError
from genepool.lineage._graph import Graph
from genepool.lineage._intervals import Interval
from genepool.lineage._kinship import Coefficients, Slots
from genepool.lineage._nodes import Node

__all__ = ["Pedigree"]


class Pedigree(Graph):
    """Cohorts as nodes: founders (human work), datasets (mixtures of cohorts), models (trained on mixtures).

    A name that is used before it is registered is an unknown ancestor until it is: its generation has no
    upper end and numbers that need it are NaN. Whatever would close a loop is refused.

    A model's *base* fills the first of two slots, as a sire beside a dam. A base that is a model hands on its
    own genome without adding a generation (fine-tuning); any other base is a mixture like ``trained_on``.
    """

    # ------------------------------------------------------------------------------- generations

    def generation(self, name: str) -> Interval:
        """Generation of a cohort's images: 0 for human work, 1 + that of its training set for a model.

        A dataset has the generation of its highest member.

        Returns:
            ``(lo, hi)``; hi None where some ancestor is unknown.

        Raises:
            UsageError: Nobody ever named this cohort.
        """
        self._known(name)

        def unknown(cohort: str) -> Interval:
            return (1, None) if cohort in self._bases else (0, None)

        def rule(node: Node, of: Callable[[str], Interval]) -> Interval:
            if node.kind == "founders":
                return 0, 0
            members = [of(part) for part in node.parts] + ([(0, None)] if node.rest else [])
            extra = 1 if node.kind == "model" else 0
            ends = [(lo + extra, None if hi is None else hi + extra) for lo, hi in members]
            if node.base:
                lo, hi = of(node.base)
                more = 0 if self._is_model(node.base) else 1
                ends.append((lo + more, None if hi is None else hi + more))
            highs = [hi for _, hi in ends]
            top = None if None in highs else max(hi for hi in highs if hi is not None)
            return max(lo for lo, _ in ends), top

        return self._fold("generation", rule, unknown).get(name) or unknown(name)

    def mean_generation(self, name: str) -> float:
        """Mixture-weighted mean generation, 1 + Σ w·mean; NaN where some ancestor or share is unknown.

        Raises:
            UsageError: Nobody ever named this cohort.
        """
        self._known(name)

        def rule(node: Node, of: Callable[[str], float]) -> float:
            if node.kind == "founders":
                return 0.0
            if node.rest or node.vague:
                return math.nan
            mean = sum(share * of(part) for part, share in node.parts.items())
            if node.kind == "dataset":
                return mean
            if not node.base:
                return 1 + mean
            base = of(node.base) - (1 if self._is_model(node.base) else 0)
            return 1 + (mean + base) / 2

        return self._fold("mean", rule, lambda _: math.nan).get(name, math.nan)

    def human_share(self, name: str) -> float:
        """Share of a cohort's ancestry that goes back to registered human work; the unknown counts as none.

        Raises:
            UsageError: Nobody ever named this cohort.
        """
        self._known(name)

        def rule(node: Node, of: Callable[[str], float]) -> float:
            if node.kind == "founders":
                return 1.0
            values = [of(part) for part in node.parts]
            mean = sum(share * of(part) for part, share in node.parts.items())
            if node.vague:
                mean = min(values)
            return (mean + of(node.base)) / 2 if node.base else mean

        return min(1.0, self._fold("human", rule, lambda _: 0.0).get(name, 0.0))

    def direct_human_share(self, name: str) -> float:
        """Share of a cohort's *images* that people made: 1 for founders, 0 for a model's outputs.

        Raises:
            UsageError: Nobody ever named this cohort.
        """
        self._known(name)

        def rule(node: Node, of: Callable[[str], float]) -> float:
            if node.kind != "dataset":
                return 1.0 if node.kind == "founders" else 0.0
            if node.vague:
                return min(of(part) for part in node.parts)
            return sum(share * of(part) for part, share in node.parts.items())

        return min(1.0, self._fold("direct", rule, lambda _: 0.0).get(name, 0.0))

    def expected_retention(self, name: str, b2: float) -> float:
        """Share of the founders' variance that a cohort still holds: Σ w·v of a mixture, b²·v of a model.

        Unknown ancestry counts as nothing retained, so the number is a lower bound.

        Args:
            name: The cohort.
            b2: Variance kept by one pass through a model, in (0, 1].

        Raises:
            UsageError: Nobody ever named this cohort.
            MeasureError: b² outside (0, 1].
        """
        self._known(name)
        if not 0.0 < b2 <= 1.0:
            raise MeasureError(f"retention: expected b² in (0, 1], found {b2}")

        def rule(node: Node, of: Callable[[str], float]) -> float:
            if node.kind == "founders":
                return 1.0
            values = [of(part) for part in node.parts]
            mean = min(values) if node.vague else sum(s * of(part) for part, s in node.parts.items())
            if node.kind == "dataset":
                return mean
            if not node.base:
                return b2 * mean
            base = of(node.base) * (1.0 if self._is_model(node.base) else b2)
            return (b2 * mean + base) / 2

        return self._fold(f"retention {b2!r}", rule, lambda _: 0.0).get(name, 0.0)

    # ----------------------------------------------------------------------------------- kinship

    def inbreeding(self, name: str) -> float:
        """Wright's coefficient F of a cohort's images, in [0, 1]; NaN where ancestry or a share is unknown.

        Raises:
            UsageError: Nobody ever named this cohort.
        """
        return self._number(name, lambda c, w: c.mean_inbreeding(w))

    def kinship(self, a: str, b: str) -> float:
        """Kinship of an image drawn from one cohort with one drawn, with replacement, from another.

        Raises:
            UsageError: Nobody ever named one of them.
        """
        weights = self._leaves(b)
        return math.nan if weights is None else self._number(a, lambda c, w: c.between(w, weights))

    def mean_kinship(self, name: str) -> float:
        """Mean kinship of two images of a cohort or dataset, drawn with replacement; NaN where unknown.

        Raises:
            UsageError: Nobody ever named this cohort.
        """
        return self._number(name, lambda c, w: c.between(w, w))

    def founder_genome_equivalents(self, name: str) -> float:
        """Unrelated founders that would carry as much diversity: 1 / (2 · mean kinship).

        R. C. Lacy, Zoo Biology 8 (1989) 111. NaN where ancestry or a share is unknown.

        Raises:
            UsageError: Nobody ever named this cohort.
        """
        mean = self.mean_kinship(name)
        return math.nan if math.isnan(mean) else math.inf if mean == 0 else 1 / (2 * mean)

    def founder_equivalents(self, name: str) -> float:
        """Founders that, contributing equally, would be as uneven as these: 1 / Σ p². NaN where unknown.

        Raises:
            UsageError: Nobody ever named this cohort.
        """

        def compute(c: Coefficients, weights: Mapping[str, float]) -> float:
            shares = c.founder_shares(weights)
            sizes = [self._nodes[founder].size for founder in c.order()]
            return 1 / sum(float(p) ** 2 / size for p, size in zip(shares, sizes, strict=True) if p)

        return self._number(name, compute)

    def _number(self, name: str, compute: Callable[[Coefficients, Mapping[str, float]], float]) -> float:
        weights = self._leaves(name)
        return math.nan if weights is None else compute(self._coefficients(), weights)

    def _leaves(self, name: str) -> Mapping[str, float] | None:
        """A cohort as weights over founders and models; None where ancestry or a share is unknown."""
        self._known(name)

        def rule(node: Node, of: Callable[[str], Mapping[str, float] | None]) -> Mapping[str, float] | None:
            if node.kind == "founders":
                return {node.name: 1.0}
            known = [of(parent) for parent in node.parents()]
            if node.rest or node.vague or not all(k is not None for k in known):
                return None
            return {node.name: 1.0} if node.kind == "model" else _mix(node.parts, of)

        return self._fold("leaves", rule, lambda _: None).get(name)

    def _coefficients(self) -> Coefficients:
        if "coefficients" not in self._cache:
            self._leaves(next(iter(self._nodes)))
            leaves: dict[str, Mapping[str, float] | None] = self._cache["leaves"]
            founders = {n.name: n.size for n in self._nodes.values() if n.kind == "founders"}
            models: dict[str, Slots] = {}
            for name in self._order():
                node = self._nodes[name]
                if node.kind == "model" and leaves[name] is not None:
                    second = _mix(node.parts, leaves.__getitem__)
                    first = (leaves[node.base] or {}) if node.base else second
                    models[name] = Slots(first, second, node.size)
            self._cache["coefficients"] = Coefficients(founders, models)
        found: Coefficients = self._cache["coefficients"]
        return found


def _mix(parts: Mapping[str, float], of: Callable[[str], Mapping[str, float] | None]) -> dict[str, float]:
    total: dict[str, float] = {}
    for part, share in parts.items():
        for leaf, weight in (of(part) or {}).items():
            total[leaf] = total.get(leaf, 0.0) + share * weight
    return total
