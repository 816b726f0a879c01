"""The pedigree of cohorts: who was trained on whom, and what that did to the images."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

from genepool.errors import MeasureError, UsageError
from genepool.lineage._drop import DROPS, Descent, drop_genes
from genepool.lineage._graph import Graph
from genepool.lineage._intervals import Interval, tolerant_top
from genepool.lineage._kinship import MODELS, Coefficients, Slots
from genepool.lineage._nodes import Node
from genepool.records import Estimate

__all__ = ["Pedigree"]

_Ends: TypeAlias = "tuple[dict[float, float], dict[float, float]]"


class Pedigree(Graph):
    """Cohorts as nodes: founders (human work), datasets (mixtures of cohorts), models (trained on mixtures).

    A name that is used before it is registered is an unknown ancestor until it is: its generation has no
    upper end and numbers that need it are NaN. Whatever would close a loop is refused.

    A model's *base* fills the first of two slots, as a sire beside a dam. A base that is a model hands on its
    own genome without adding a generation (fine-tuning); any other base is a mixture like ``trained_on``.
    """

    # ------------------------------------------------------------------------------- generations

    def generation(self, name: str, *, tolerance: float = 0.0) -> Interval:
        """Generation of a cohort's images: 0 for human work, 1 + that of its training set for a model.

        A dataset has the generation of its highest member.

        Args:
            name: The cohort.
            tolerance: Share of a *training set* that may be of a higher generation without raising the
                model's own, in [0, 1): stray images. 0: a single one raises it. Where shares are not known
                nothing is tolerated, and a base model is never passed over.

        Returns:
            ``(lo, hi)``; hi None where some ancestor is unknown.

        Raises:
            UsageError: Nobody ever named this cohort; a tolerance outside [0, 1).
        """
        self._known(name)
        if not 0.0 <= tolerance < 1.0:
            raise UsageError(f"generation: expected a tolerance in [0, 1), found {tolerance}")

        def unknown(cohort: str) -> _Ends:
            lo = 1.0 if cohort in self._bases else 0.0
            return {lo: 1.0}, {math.inf: 1.0}

        def rule(node: Node, of: Callable[[str], _Ends]) -> _Ends:
            if node.kind == "founders":
                return {0.0: 1.0}, {0.0: 1.0}
            ends = _gather(node, of)
            if node.kind == "dataset":
                return ends
            tops = [1 + tolerant_top(end, tolerance) for end in ends]
            if node.base:
                more = 0 if self._is_model(node.base) else 1
                tops = [max(top, more + max(end)) for top, end in zip(tops, of(node.base), strict=True)]
            return {tops[0]: 1.0}, {max(tops): 1.0}

        lows, highs = self._fold(f"generation {tolerance!r}", rule, unknown).get(name) or unknown(name)
        top = max(highs)
        return int(max(lows)), None if math.isinf(top) else int(top)

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

    @property
    def exact(self) -> bool:
        """Whether F, kinship and founder genomes are computed exactly; beyond `MODELS` they are sampled."""
        return sum(node.kind == "model" for node in self._nodes.values()) <= MODELS

    def inbreeding(self, name: str) -> float:
        """Wright's coefficient F of a cohort's images, in [0, 1]; NaN where ancestry or a share is unknown.

        Of pedigrees that are not `exact`, this is the point of `estimate`.

        Raises:
            UsageError: Nobody ever named this cohort.
        """
        return self._number(name, "inbreeding", lambda c: c.mean_inbreeding({name: 1.0}))

    def kinship(self, a: str, b: str) -> float:
        """Kinship of an image drawn from one cohort with one drawn, with replacement, from another.

        Raises:
            UsageError: Nobody ever named one of them.
        """
        if not (self._complete(a) and self._complete(b)):
            return math.nan
        if not self.exact:
            return float(drop_genes(self._dropper(), a, b))
        return self._coefficients().between({a: 1.0}, {b: 1.0})

    def mean_kinship(self, name: str) -> float:
        """Mean kinship of two images of a cohort or dataset, drawn with replacement; NaN where unknown.

        Raises:
            UsageError: Nobody ever named this cohort.
        """
        return self._number(name, "mean_kinship", lambda c: c.between({name: 1.0}, {name: 1.0}))

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
        if not self._complete(name):
            return math.nan
        total = dict.fromkeys([name], 1.0)
        concentration = 0.0
        for cohort in reversed(self._order()):
            share = total.pop(cohort, 0.0)
            node = self._nodes[cohort]
            if share and node.kind == "founders":
                concentration += share**2 / node.size
            elif share:
                half = 0.5 if node.base else 1.0
                for part, weight in node.parts.items():
                    total[part] = total.get(part, 0.0) + half * share * weight
                if node.base:
                    total[node.base] = total.get(node.base, 0.0) + half * share
        return 1 / concentration

    def estimate(
        self,
        name: str,
        what: Literal["inbreeding", "mean_kinship", "founder_genome_equivalents"] = "inbreeding",
        *,
        drops: int | None = None,
        seed: int = 0,
        alpha: float = 0.05,
    ) -> Estimate:
        """One coefficient with its interval: exact where that is possible, else by dropping genes.

        Args:
            name: The cohort.
            what: Which coefficient.
            drops: Number of gene drops, at least 1; None: exact if possible, else 100,000.
            seed: Of the random generator; equal seeds give equal numbers.
            alpha: 1 − confidence of the interval of a gene drop (Clopper–Pearson).

        Returns:
            NaN throughout where ancestry or a share is unknown.

        Raises:
            UsageError: Nobody ever named this cohort; fewer than one drop; no such coefficient.
        """
        if what not in ("inbreeding", "mean_kinship", "founder_genome_equivalents"):
            raise UsageError(f"pedigree: expected a coefficient, found {what!r}")
        if drops is not None and drops < 1:
            raise UsageError(f"pedigree: expected at least one gene drop, found {drops}")
        if not self._complete(name):
            return Estimate(math.nan, math.nan, math.nan, 0, "unknown ancestry", alpha)
        if drops is None and self.exact:
            value = float(getattr(self, what)(name))
            return Estimate(value, value, value, len(self), "exact: tabular method over mixtures", alpha)
        found = drop_genes(
            self._dropper(),
            name,
            None if what == "inbreeding" else name,
            drops=drops or DROPS,
            seed=seed,
            alpha=alpha,
        )
        if what != "founder_genome_equivalents":
            return found
        value, lower, upper = (1 / (2 * x) if x else math.inf for x in (found, found.upper, found.lower))
        return Estimate(value, lower, upper, found.n, found.method, alpha)

    def _number(
        self,
        name: str,
        what: Literal["inbreeding", "mean_kinship"],
        compute: Callable[[Coefficients], float],
    ) -> float:
        if not self._complete(name):
            return math.nan
        return compute(self._coefficients()) if self.exact else float(self.estimate(name, what))

    def _complete(self, name: str) -> bool:
        """Whether all of a cohort's ancestry is registered, with its shares."""
        self._known(name)

        def rule(node: Node, of: Callable[[str], bool]) -> bool:
            return not node.rest and not node.vague and all(of(parent) for parent in node.parents())

        return self._fold("complete", rule, lambda _: False).get(name, False)

    def _plan(self) -> tuple[dict[str, float], dict[str, Mapping[str, float]], dict[str, Slots]]:
        """Founders, datasets and models whose ancestry is complete, models after their ancestors."""
        founders: dict[str, float] = {}
        datasets: dict[str, Mapping[str, float]] = {}
        models: dict[str, Slots] = {}
        for name in self._order():
            node = self._nodes[name]
            if not self._complete(name):
                continue
            if node.kind == "founders":
                founders[name] = node.size
            elif node.kind == "dataset":
                datasets[name] = node.parts
            else:
                models[name] = Slots({node.base: 1.0} if node.base else node.parts, node.parts, node.size)
        return founders, datasets, models

    def _coefficients(self) -> Coefficients:
        if "coefficients" not in self._cache:
            self._cache["coefficients"] = Coefficients(*self._plan())
        found: Coefficients = self._cache["coefficients"]
        return found

    def _dropper(self) -> Descent:
        if "dropper" not in self._cache:
            self._cache["dropper"] = Descent(*self._plan())
        found: Descent = self._cache["dropper"]
        return found


def _gather(node: Node, of: Callable[[str], _Ends]) -> _Ends:
    """Shares of a mixture by generation, for the lower and for the upper ends of its parts."""
    lows: dict[float, float] = {}
    highs: dict[float, float] = {}
    if node.rest:
        lows[0.0] = highs[math.inf] = node.rest
    for part, share in node.parts.items():
        for total, ends in zip((lows, highs), of(part), strict=True):
            for generation, weight in ends.items():
                total[generation] = total.get(generation, 0.0) + share * weight
    if node.vague:  # any part may be nearly all of it
        return {max(lows): 1.0}, {max(highs): 1.0}
    return lows, highs
