"""One study: a kind of generator on one set of pictures, arm by arm, seed by seed."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from genepool.errors import UsageError
from genepool.lab._arms import ARMS, Round, Training
from genepool.lab._choose import Chooser
from genepool.lab._data import Parts, Pictures, load, split
from genepool.lab._files import Folder
from genepool.lab._space import Space
from genepool.lab.generators import KINDS, Diverged, make_generator, where

__all__ = ["Study", "run_study"]

Tick = Callable[[int, str], None]
_GRID = 64


@dataclass(frozen=True, slots=True)
class Study:
    """What is run.

    Attributes:
        name: Of the study, a folder name.
        data: See `genepool.lab.Pictures`; ``given`` stands for the data named on the command line.
        side, grey, crops: Of the pictures.
        features: ``pixels`` or ``style``: the space of the judge and of the filter (each fitted to its own).
        split: Pictures for ``root``, ``reserve``, ``filter`` and ``judge``.
        budget: Training pictures of every generation from 2; generation 1 has the root.
        pool: Pictures drawn from every model for others to choose from.
        judged: Pictures of every model that are judged; further ones, which nobody trains on.
        generations: How many.
        seeds: Of dealing, weights, order and draws; each one is a replicate.
        arms: See `genepool.lab.ARMS`.
        generator: ``kind`` and its options.
    """

    name: str
    data: str
    split: dict[str, int]
    budget: int
    arms: tuple[str, ...]
    generator: dict[str, Any]
    side: int = 32
    grey: bool = False
    crops: int = 1
    features: str = "pixels"
    pool: int = 0
    judged: int = 1000
    generations: int = 4
    seeds: tuple[int, ...] = (1, 2, 3, 4, 5)
    about: str = ""
    notes: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        unknown = [arm for arm in self.arms if arm not in ARMS]
        if unknown:
            raise UsageError(
                f"study {self.name}: expected arms among {', '.join(ARMS)}, found {unknown[0]!r}"
            )
        if self.generator.get("kind") not in KINDS:
            raise UsageError(
                f"study {self.name}: expected a generator among {', '.join(KINDS)}, "
                f"found {self.generator.get('kind')!r}"
            )
        if self.generations < 2 or not self.seeds or not self.arms or self.judged < 40:
            raise UsageError(
                f"study {self.name}: expected at least 2 generations, 1 seed, 1 arm and 40 judged pictures"
            )
        if self.budget > self.split.get("root", 0):
            raise UsageError(f"study {self.name}: expected a budget of at most the root, found {self.budget}")

    @property
    def steps(self) -> int:
        """Models that are trained: generation 1 once a seed, the others once an arm."""
        return len(self.seeds) * (1 + len(self.arms) * (self.generations - 1))

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        found = asdict(self)
        return {**found, "seeds": list(self.seeds), "arms": list(self.arms)}


def run_study(study: Study, folder: Folder, device: str, tick: Tick, given: str = "") -> list[dict[str, Any]]:
    """Run what is not there yet.

    A seed whose generator diverges is stopped and says so; the others go on.

    Args:
        study: What.
        folder: Where its files are kept.
        device: ``auto``, ``cpu`` or ``cuda``.
        tick: Called with the models done since the last call, and what is being done.
        given: Data that take the place of ``given``.

    Returns:
        One object for each arm and seed: see ``docs/concepts/lab.md``.

    Raises:
        MeasureError: Too few pictures.
        MissingExtra: torch, scikit-learn or scikit-image is not installed.
    """
    found = []
    loaded: Pictures | None = None
    for seed in study.seeds:
        bench: _Bench | None = None
        for arm in study.arms:
            name = f"{study.name}/seed-{seed}/{arm}.json"
            known = folder.read(name)
            if known is None:
                if loaded is None:
                    loaded = load(_source(study, given), side=study.side, grey=study.grey, crops=study.crops)
                bench = bench or _Bench(study, loaded, seed, folder, device, tick)
                known = bench.chain(arm)
                folder.write(name, known)
            else:
                tick(study.generations - 1 + (arm == study.arms[0]), f"{study.name} {arm} seed {seed}")
            found.append(known)
    return found


def _source(study: Study, given: str) -> str:
    if study.data != "given":
        return study.data
    if not given:
        raise UsageError(
            f"study {study.name}: expected a folder or catalogue of pictures", hint="--data PATH"
        )
    return given


class _Bench:
    """One seed: the dealing, the judge, the filter, generation 1."""

    def __init__(
        self, study: Study, pictures: Pictures, seed: int, folder: Folder, device: str, tick: Tick
    ) -> None:
        self.study, self.seed, self.folder, self.device, self.tick = study, seed, folder, device, tick
        self.parts: Parts = split(pictures, study.split, seed)
        self.space = Space(self.parts.judge.pixels, study.features)
        self._chooser: Chooser | None = None

    @property
    def chooser(self) -> Chooser:
        """The filter, made when an arm asks for it."""
        if self._chooser is None:
            self._chooser = Chooser(self.parts.filter.pixels, self.study.features, self.seed)
        return self._chooser

    def chain(self, arm: str) -> dict[str, Any]:
        """All generations of one arm."""
        rows: list[dict[str, Any]] = []
        drawn: list[Pictures] = []
        pools: dict[int, Pictures] = {}
        stopped = ""
        for generation in range(1, self.study.generations + 1):
            try:
                row, pool, judged = self._generation(arm, generation, pools)
            except Diverged as error:
                stopped = f"generation {generation}: {error.message}"
                self.tick(self.study.generations - generation + 1, f"{arm} seed {self.seed} stopped")
                break
            rows.append(row)
            pools[generation] = pool
            drawn.append(judged)
        result = {"arm": arm, "seed": self.seed, "stopped": stopped, "generations": rows}
        if drawn:
            result |= self._judged(rows, drawn)
            self._grid(arm, drawn)
        # The pools of a finished chain serve nobody; generation 1 belongs to all arms of the seed.
        for generation in range(2, self.study.generations + 1):
            self.folder.remove(self._place(arm, generation) + ".npz")
            self.folder.remove(self._place(arm, generation) + ".json")
        return result

    def _place(self, arm: str, generation: int) -> str:
        owner = arm if generation > 1 else "root"
        return f"{self.study.name}/seed-{self.seed}/{owner}-{generation}"

    def _generation(
        self, arm: str, generation: int, pools: dict[int, Pictures]
    ) -> tuple[dict[str, Any], Pictures, Pictures]:
        """Row, pool and judged pictures of one model: from its files, or by training it."""
        place = self._place(arm, generation)
        row, arrays = self.folder.read(place + ".json"), self.folder.read_arrays(place + ".npz")
        if row is None or arrays is None:
            shown = arm if generation > 1 else "generation 1"
            self.tick(0, f"{self.study.name} {shown} {generation} seed {self.seed}")
            row, arrays = self._trained(arm, generation, pools)
            self.folder.write_arrays(place + ".npz", **arrays)
            self.folder.write(place + ".json", row)
        if generation > 1 or arm == self.study.arms[0]:
            self.tick(1, "")
        if "stopped" in row:
            raise Diverged(row["stopped"])
        first = self.parts.root

        def some(name: str) -> Pictures:
            pixels = arrays[name]
            groups = np.full(len(pixels), -1)
            return Pictures(pixels, arrays[f"{name}_labels"], groups, first.names, f"model {generation}")

        return row, some("pool"), some("judged")

    def _trained(
        self, arm: str, generation: int, pools: dict[int, Pictures]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        key = [self.seed, generation, zlib.crc32(arm.encode()) if generation > 1 else 0]
        rng = np.random.default_rng(key)
        began, wall = time.process_time(), time.monotonic()
        ready = self._training(arm, generation, pools, rng)
        options = {k: v for k, v in self.study.generator.items() if k != "kind"}
        if "classes" in options:
            options["classes"] = len(self.parts.root.names)
        model = make_generator(self.study.generator["kind"], int(rng.integers(2**31)), self.device, **options)
        row: dict[str, Any] = {
            "generation": generation,
            "n": len(ready.human),
            "human": ready.share,
            "fresh": ready.fresh,
            "beyond": int((ready.generation > 2).sum()),
            **({"notes": ready.notes} if ready.notes else {}),
        }
        pool_size = self.study.pool or 3 * self.study.budget
        arrays: dict[str, Any] = {}
        try:
            model.fit(ready.pictures.pixels, ready.pictures.labels)
            for name, count in (("pool", pool_size), ("judged", self.study.judged)):
                arrays[name], arrays[f"{name}_labels"] = model.draw(count, int(rng.integers(2**31)))
        except Diverged as error:
            row["stopped"] = error.message
        row["where"] = "processor" if self.study.generator["kind"] == "mixture" else where(self.device)
        row["cpu_seconds"] = round(time.process_time() - began, 2)
        row["wall_seconds"] = round(time.monotonic() - wall, 2)
        return row, arrays

    def _training(
        self, arm: str, generation: int, pools: dict[int, Pictures], rng: np.random.Generator
    ) -> Training:
        root = self.parts.root
        if generation == 1:
            everyone = np.ones(len(root), bool)
            return Training(root, everyone, np.zeros(len(root), np.int64), fresh=len(root))
        now = Round(generation, self.study.budget, root, self.parts.reserve, pools, self.chooser, rng)
        return ARMS[arm](now)

    def _judged(self, rows: list[dict[str, Any]], drawn: list[Pictures]) -> dict[str, Any]:
        from genepool.config import Config
        from genepool.degradation import measure

        report = measure(
            [self.space.features(one.pixels) for one in drawn],
            self.space.human,
            names=[f"generation {row['generation']}" for row in rows],
            n=self.study.judged,
            seed=self.seed,
            votes=False,
            config=Config(),
        )
        return {
            "measures": [_plain(one) for one in report.generations],
            "human_work": _plain(report.baseline) if report.baseline else {},
            "reference": int(report.reference["n"]),
            "matched": report.size,
        }

    def _grid(self, arm: str, drawn: list[Pictures]) -> None:
        first = [one.pixels[:_GRID] for one in drawn]
        self.folder.write_arrays(
            f"{self.study.name}/seed-{self.seed}/{arm}.grid.npz",
            human=self.parts.root.pixels[:_GRID],
            **{f"generation_{k}": part for k, part in enumerate(first, 1)},
        )


def _plain(generation: Any) -> dict[str, Any]:
    """Measures as numbers; methods are said once, in the documentation."""
    found: dict[str, Any] = {}
    for name, estimate in generation.measures.items():
        found[name] = [round(float(x), 5) for x in (estimate.value, estimate.lower, estimate.upper)]
        if name == "diversity":
            found["support"] = round(float(estimate.on_support), 5)
    return {"n": generation.n, **found}
