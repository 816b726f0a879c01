"""How many human pictures a machine-made one is worth: a curve over the human pictures at the root."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genepool.errors import UsageError
from genepool.lab._data import load, split
from genepool.lab.generators import Principal, draw_mixture, fit_mixture

if TYPE_CHECKING:
    from genepool.lab._files import Folder
    from genepool.lab._study import Tick

__all__ = ["Exchange", "run_exchange"]

_COMPONENTS = (1, 2, 4, 8, 16)
_HELD = 5
_FLOOR = 1e-3
_SMALL, _PART = 4000, 10_000


@dataclass(frozen=True, slots=True)
class Exchange:
    """What is run.

    Teachers are Gaussian mixtures on principal components of patches; each student chooses its own number of
    components on a held-out fifth of its own training set, so that nobody is too large for the data. The
    score is exact: the mean log-likelihood of human patches that nobody has seen.

    Attributes:
        name: Of the study.
        data, side: See `genepool.lab.Pictures`.
        latent: Principal components, fitted to patches of nobody's.
        human: Sizes of human training sets: the yardstick.
        roots: Human pictures behind the teacher.
        generations: Of the teachers; each later one learns from ``chain`` pictures of the one before.
        chain: See there.
        synthetic: Sizes of machine-made training sets.
        claims: ``{"scale", "human", "synthetic"}``: does that much human work beat that much of the other?
        split: Pictures for ``filter`` (the components) and ``judge``.
        seeds: Replicates.
    """

    name: str
    data: str
    side: int
    latent: int
    human: tuple[int, ...]
    roots: tuple[int, ...]
    generations: int
    chain: int
    synthetic: tuple[int, ...]
    claims: tuple[dict[str, Any], ...]
    split: dict[str, int]
    seeds: tuple[int, ...]
    about: str = ""

    def __post_init__(self) -> None:
        wanted = {int(c["human"]) for c in self.claims} - set(self.human)
        wanted |= {int(c["synthetic"]) for c in self.claims} - set(self.synthetic)
        if wanted or not self.seeds or not self.roots or self.generations < 1:
            raise UsageError(
                f"exchange {self.name}: expected every size of a claim among those run: {wanted}"
            )

    @property
    def steps(self) -> int:
        """Files: one for each seed's yardstick and each teacher."""
        return len(self.seeds) * (1 + len(self.roots))

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}


def run_exchange(plan: Exchange, folder: Folder, tick: Tick, given: str = "") -> list[dict[str, Any]]:
    """Run what is not there yet; one object per seed.

    Raises:
        MeasureError: Too few pictures.
        MissingExtra: scikit-learn or scikit-image is not installed.
    """
    found, loaded = [], None
    for seed in plan.seeds:
        place = f"{plan.name}/seed-{seed}"
        parts: tuple[Any, ...] | None = None

        def dealt(seed: int = seed) -> tuple[Any, ...]:
            nonlocal loaded
            if loaded is None:
                loaded = load(given if plan.data == "given" else plan.data, side=plan.side)
            return _dealt(plan, loaded, seed)

        row: dict[str, Any] = {"seed": seed, "teachers": []}
        known = folder.read(f"{place}/human.json")
        if known is None:
            parts = dealt()
            known = _yardstick(plan, parts, seed)
            folder.write(f"{place}/human.json", known)
        row |= known
        tick(1, f"{plan.name} human work, seed {seed}")
        for root in plan.roots:
            known = folder.read(f"{place}/root-{root}.json")
            if known is None:
                parts = parts or dealt()
                known = _teachers(plan, parts, root, seed)
                folder.write(f"{place}/root-{root}.json", known)
            row["teachers"].append(known)
            tick(1, f"{plan.name} root {root:,}, seed {seed}")
        found.append(row)
    return found


def _dealt(plan: Exchange, pictures: Any, seed: int) -> tuple[Any, ...]:
    sizes = {**plan.split, "root": max(plan.roots), "reserve": max(plan.human)}
    parts = split(pictures, sizes, seed)
    rows = [
        p.pixels.reshape(len(p), -1) / 127.5 - 1
        for p in (parts.filter, parts.root, parts.reserve, parts.judge)
    ]
    space = Principal(rows[0], plan.latent)
    return tuple(space.encode(r) for r in rows[1:])


def _yardstick(plan: Exchange, parts: tuple[Any, ...], seed: int) -> dict[str, Any]:
    _, reserve, judge = parts
    began = time.process_time()
    scores = {str(n): round(float(student(reserve[:n], seed).score(judge)), 5) for n in plan.human}
    return {"human": scores, "cpu_seconds": round(time.process_time() - began, 2)}


def _teachers(plan: Exchange, parts: tuple[Any, ...], root: int, seed: int) -> dict[str, Any]:
    people, _, judge = parts
    began = time.process_time()
    rows, seen = [], people[:root]
    for generation in range(1, plan.generations + 1):
        teacher = student(seen, seed)
        drawn = draw_mixture(teacher, max(max(plan.synthetic), plan.chain), seed * 1000 + generation)
        scores = {str(n): round(float(student(drawn[:n], seed).score(judge)), 5) for n in plan.synthetic}
        rows.append(
            {"generation": generation, "scores": scores, "teacher": round(float(teacher.score(judge)), 5)}
        )
        seen = drawn[: plan.chain]
    return {"root": root, "generations": rows, "cpu_seconds": round(time.process_time() - began, 2)}


def student(rows: NDArray[np.float64], seed: int) -> Any:
    """A mixture with as many components as a held-out fifth (of at most 4,000) of its data likes best."""
    some = np.random.default_rng([seed, len(rows)]).permutation(rows)[:_SMALL]
    held = np.arange(len(some)) % _HELD == 0
    best, score = 1, -np.inf
    for count in _COMPONENTS:
        # A covariance needs more pictures than it has directions.
        if count > 1 and (~held).sum() < 2 * count * rows.shape[1]:
            break
        found = float(fit_mixture(some[~held], count, _FLOOR, seed).score(some[held]))
        if found > score:
            best, score = count, found
    # Most of the way on a part; all of the data then only settle what the part left open.
    first = fit_mixture(rows[:_PART], best, _FLOOR, seed)
    return fit_mixture(rows, best, _FLOOR, seed, first) if len(rows) > _PART else first
