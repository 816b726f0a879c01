"""The arms: who decides what the next generation is trained on.

Generation 1 is trained on the root, human pictures only. From then on every arm fills the same budget, but
for ``accumulate``, which keeps everything. Share: of machine-made pictures.

| arm | training set of generation g ≥ 2 |
|---|---|
| schedule | 50, 80, 95, 95 … % from model g − 1, the rest human: the article's table |
| replace | all from model g − 1 |
| accumulate | the root and a budget of pictures from every model so far |
| accumulate-budget | a budget drawn at random from that |
| mix50, mix80, mix95 | a fixed share from model g − 1 |
| fresh | 70 % from model g − 1, 30 % human pictures that no model has seen |
| gate | genepool's policy (70 % human, generation 2 at most, on support, diverse), decided by `gate.decide` |
| random | 30 % from model g − 1 at random, 70 % human |
| ratio | the schedule cut off at 30 %: the rule of ``random`` drawn anew, so that they differ by chance |
| cap | the schedule, but from model 2 at most |
| support | the schedule, but on the filter's support |
| injection | the schedule, but the rarest of three times as many candidates |
| entropy | a budget chosen by greedy entropy from everything that accumulated (Shi et al. 2025) |
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genepool.errors import MeasureError
from genepool.lab._choose import Chooser, spread_out
from genepool.lab._data import Pictures

__all__ = ["ARMS", "Round", "Training", "schedule_share"]

_SCHEDULE = (0.0, 0.50, 0.80, 0.95)
_CANDIDATES = 3


@dataclass(frozen=True, slots=True)
class Training:
    """A training set.

    Attributes:
        pictures: All of it.
        human: ``(n,)`` which of it people made.
        generation: ``(n,)`` 0 for human pictures, else that of the model.
        fresh: How many human pictures no model had seen before.
        notes: What the arm has to say, such as the gate's decision.
    """

    pictures: Pictures
    human: NDArray[np.bool_]
    generation: NDArray[np.int64]
    fresh: int = 0
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def share(self) -> float:
        """Human share."""
        return float(self.human.mean())


@dataclass(frozen=True, slots=True)
class Round:
    """What an arm may choose from.

    Attributes:
        generation: Of the model that is to be trained, from 2.
        budget: Pictures it is trained on.
        root: The human pictures of generation 1.
        reserve: Human pictures for ``fresh``.
        pools: Generation of a model → pictures drawn from it, several times the budget.
        chooser: The filter.
        rng: Of every random choice.
    """

    generation: int
    budget: int
    root: Pictures
    reserve: Pictures
    pools: dict[int, Pictures]
    chooser: Chooser
    rng: np.random.Generator

    def human(self, count: int) -> Pictures:
        """Pictures of the root at random, each once."""
        if count > len(self.root):
            raise MeasureError(
                f"lab: expected {count:,} human pictures in the root, found {len(self.root):,}"
            )
        return self.root.take(self.rng.permutation(len(self.root))[:count])

    def made(self, count: int, generation: int | None = None) -> Pictures:
        """Pictures of a model at random; None: of the last one."""
        pool = self.pools[generation or self.generation - 1]
        if count > len(pool):
            raise MeasureError(f"lab: expected {count:,} pictures in the pool, found {len(pool):,}")
        return pool.take(self.rng.permutation(len(pool))[:count])


Arm = Callable[[Round], Training]


def schedule_share(generation: int) -> float:
    """The article's share of machine-made pictures: 0, .5, .8, then .95."""
    return _SCHEDULE[min(generation, len(_SCHEDULE)) - 1]


def _joined(parts: list[tuple[Pictures, int]], fresh: int = 0, **notes: Any) -> Training:
    parts = [(p, g) for p, g in parts if len(p)]
    first = parts[0][0]
    pictures = Pictures(
        np.concatenate([p.pixels for p, _ in parts]),
        np.concatenate([p.labels for p, _ in parts]),
        np.concatenate([p.groups for p, _ in parts]),
        first.names,
        first.source,
    )
    generation = np.concatenate([np.full(len(p), g, np.int64) for p, g in parts])
    return Training(pictures, generation == 0, generation, fresh, notes)


def _mixed(now: Round, share: float, made: Pictures | None = None, generation: int | None = None) -> Training:
    """A share of machine-made pictures, the rest from the root."""
    count = round(share * now.budget)
    taken = now.made(count, generation) if made is None else made
    human = now.human(now.budget - len(taken))
    return _joined([(human, 0), (taken, generation or now.generation - 1)])


def _fixed(share: float) -> Arm:
    return lambda now: _mixed(now, share)


def _scheduled(now: Round) -> Training:
    return _mixed(now, schedule_share(now.generation))


def _accumulated(now: Round) -> Training:
    return _joined([(now.root, 0), *((now.made(now.budget, g), g) for g in sorted(now.pools))])


def _budgeted(now: Round) -> Training:
    return _some(_accumulated(now), lambda all_: now.rng.permutation(len(all_.human))[: now.budget])


def _entropic(now: Round) -> Training:
    def chosen(everything: Training) -> NDArray[np.intp]:
        points = now.chooser.features(everything.pictures.pixels)
        return spread_out(points, now.budget, now.rng)

    return _some(_accumulated(now), chosen)


def _some(everything: Training, choose: Callable[[Training], NDArray[np.intp]]) -> Training:
    kept = choose(everything)
    return Training(everything.pictures.take(kept), everything.human[kept], everything.generation[kept])


def _fresh(now: Round) -> Training:
    count = round(0.3 * now.budget)
    start = (now.generation - 2) * count
    new = now.reserve.take(np.s_[start : start + count])
    if len(new) < count:
        raise MeasureError(
            f"lab: generation {now.generation}: expected {count:,} fresh human pictures, found {len(new):,}",
            hint="give more pictures, a larger reserve, or leave out the arm fresh",
        )
    return _joined([(new, 0), (now.made(now.budget - count), now.generation - 1)], fresh=count)


def _capped(now: Round) -> Training:
    return _mixed(now, schedule_share(now.generation), generation=min(now.generation - 1, 2))


def _supported(now: Round) -> Training:
    count = round(schedule_share(now.generation) * now.budget)
    return _mixed(now, 0.0, _on_support(now, now.generation - 1, count))


def _on_support(now: Round, generation: int, count: int) -> Pictures:
    pool = now.made(len(now.pools[generation]), generation)
    kept = np.flatnonzero(now.chooser.supported(pool.pixels))[:count]
    # Human pictures fill up what the filter leaves open, as far as there are any.
    if now.budget - len(kept) > len(now.root):
        rest = np.setdiff1d(np.arange(len(pool)), kept)[: now.budget - len(now.root) - len(kept)]
        kept = np.concatenate([kept, rest])
    return pool.take(kept)


def _injected(now: Round) -> Training:
    count = round(schedule_share(now.generation) * now.budget)
    human = now.human(now.budget - count)
    pool = now.made(min(_CANDIDATES * count, len(now.pools[now.generation - 1])))
    pixels = np.concatenate([human.pixels, pool.pixels])
    known = np.arange(len(pixels)) < len(human)
    chosen = now.chooser.rarest(pixels, known, np.flatnonzero(~known), count) - len(human)
    return _joined([(human, 0), (pool.take(chosen), now.generation - 1)])


def _gated(now: Round) -> Training:
    """What genepool would let through: the policy's own numbers, and its own decision at the end."""
    from genepool.config import Config

    config = Config()
    allowed = max((g for g in now.pools if g <= config.generation.max), default=0)
    count = int(np.floor((1 - config.policy.human_ratio) * now.budget + 1e-9)) if allowed else 0
    made = _on_support(now, allowed, count) if count else now.root.take(np.s_[:0])
    human = now.human(now.budget - len(made))
    ready = _joined([(human, 0), (made, allowed)])
    index = now.chooser.diversity(ready.pictures.pixels, ready.human)
    injected = index.lower < config.policy.diversity and count > 0
    if injected:
        # The same people's work, with the rarest machine-made pictures on support instead of random ones.
        pool = _on_support(now, allowed, len(now.pools[allowed]))
        pixels = np.concatenate([human.pixels, pool.pixels])
        known = np.arange(len(pixels)) < len(human)
        rare = now.chooser.rarest(pixels, known, np.flatnonzero(~known), len(made)) - len(human)
        ready = _joined([(human, 0), (pool.take(rare), allowed)])
        index = now.chooser.diversity(ready.pictures.pixels, ready.human)
    notes = {"gate": _decided(ready, index, config), "injected": injected}
    return Training(ready.pictures, ready.human, ready.generation, 0, notes)


def _decided(ready: Training, index: Any, config: Any) -> dict[str, Any]:
    from genepool.gate import Measures, decide
    from genepool.prevalence import human_ratio
    from genepool.records import Case

    beyond = np.flatnonzero(ready.generation > config.generation.max)
    names, counts = np.unique(ready.generation, return_counts=True)
    n = len(ready.human)
    found = Measures(
        uri="lab",
        n=n,
        root="",
        workspace="",
        kept=n,
        kept_root="",
        human=human_ratio(ready.human, ~ready.human, alpha=config.policy.alpha),
        generations={str(name): int(count) for name, count in zip(names, counts, strict=True)},
        top=int(ready.generation.max()),
        toxic=tuple(Case(f"lab/{i}", "generation", "beyond the policy") for i in beyond),
        diversity=index,
    )
    decision = decide(found, config, select=("human-ratio", "diversity", "generation", "nothing-left"))
    return {
        "status": decision.status,
        "codes": [failure.code for failure in decision.failures],
        "human": float(found.human.lower),
        "diversity": [float(index.value), float(index.lower), float(index.upper)],
    }


ARMS: dict[str, Arm] = {
    "schedule": _scheduled,
    "replace": _fixed(1.0),
    "accumulate": _accumulated,
    "accumulate-budget": _budgeted,
    "mix50": _fixed(0.50),
    "mix80": _fixed(0.80),
    "mix95": _fixed(0.95),
    "fresh": _fresh,
    "gate": _gated,
    "random": _fixed(0.30),
    "ratio": lambda now: _mixed(now, min(0.30, schedule_share(now.generation))),
    "cap": _capped,
    "support": _supported,
    "injection": _injected,
    "entropy": _entropic,
}
"""Name → how it fills a training set."""
