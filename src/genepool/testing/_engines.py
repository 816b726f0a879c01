"""The kit for engines: a small job of its own, run, broken and killed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from genepool.records import Case, Engine, Item, Sample, Unit, UnitResult
from genepool.testing._kit import Check, insist, protocol

_UNITS = 6
_ITEMS = 3


@dataclass(slots=True)
class KitSource:
    """Items without images: what an engine carries is not looked at."""

    kind: str = "kit"
    uri: str = "kit"

    def list(self, aside: list[Case]) -> Iterator[Item]:
        """Nothing: the kit makes its own items."""
        return iter(())

    def read(self, items: Sequence[Item]) -> Iterator[Sample]:
        """Nothing to read."""
        return iter(())


class KitJob:
    """Leaves a mark for every item; dies with its process at the items that are called ``poison``.

    Args:
        folder: Where marks are left.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.ready = False

    def prepare(self) -> None:
        """Once per worker, before its first unit."""
        self.ready = True

    def __call__(self, unit: Unit) -> UnitResult:
        """Write one mark per item."""
        if not self.ready:
            raise RuntimeError("the engine did not call prepare()")
        for item in unit.items:
            if item.uri == "poison":
                os._exit(3)
            if item.uri == "error":
                raise ValueError("the job's own error")
            with (Path(self.folder) / item.uri).open("a", encoding="utf-8") as marks:
                marks.write("done\n")
        return UnitResult(unit.id, len(unit.items), 0)

    def quarantine(self, unit: Unit, reason: str) -> UnitResult:
        """Write down, in the parent, what killed its worker."""
        for item in unit.items:
            (Path(self.folder) / f"quarantined-{item.uri}").write_text(reason, "utf-8")
        return UnitResult(unit.id, len(unit.items), len(unit.items))


def check_engine(engine: Engine, *, isolates: bool = True) -> tuple[Check, ...]:
    """Try an engine against every rule.

    Args:
        engine: Ready to run.
        isolates: Whether it promises that an item that kills its worker costs only itself.

    Returns:
        One `Check` per rule; those that could not be tried because an earlier one failed are left out.
    """
    checks = [protocol(engine, Engine, ("name", "run"))]
    if not checks[0].ok:
        return tuple(checks)
    checks.append(Check("has a name", bool(engine.name) and isinstance(engine.name, str), repr(engine.name)))
    checks += _every_unit(engine)
    checks.append(_nothing(engine))
    checks.append(_error(engine))
    checks.append(_left(engine))
    return (*checks, *(_poison(engine) if isolates else ()))


def assert_engine(engine: Engine, *, isolates: bool = True) -> None:
    """Raise an AssertionError that lists every rule that the engine breaks."""
    insist(check_engine(engine, isolates=isolates), str(getattr(engine, "name", type(engine).__name__)))


def _unit(number: int, names: Iterable[str]) -> Unit:
    items = tuple(Item(name, "1", "kit") for name in names)
    return Unit(f"unit{number}", items, KitSource())


def _units() -> list[Unit]:
    return [_unit(u, (f"item-{u}-{i}" for i in range(_ITEMS))) for u in range(_UNITS)]


def _run(engine: Engine, folder: str, units: Iterable[Unit]) -> list[UnitResult] | str:
    try:
        return list(engine.run(KitJob(folder), units))
    except Exception as error:  # the very thing that is tested
        return f"raised {type(error).__name__}: {error}"[:300]


def _every_unit(engine: Engine) -> list[Check]:
    with TemporaryDirectory() as folder:
        found = _run(engine, folder, iter(_units()))
        if isinstance(found, str):
            return [Check("runs every unit", False, found)]
        ids = sorted(result.id for result in found)
        marks = sorted(path.name for path in Path(folder).iterdir())
        wanted = sorted(item.uri for unit in _units() for item in unit.items)
        twice = [p.name for p in Path(folder).iterdir() if p.read_text("utf-8") != "done\n"]
        return [
            Check("runs every unit", ids == sorted(u.id for u in _units()), ", ".join(ids)),
            Check("every item is done, after prepare()", marks == wanted, f"{len(marks)} of {len(wanted)}"),
            Check("no item is done twice", not twice, ", ".join(twice[:3])),
            Check("counts what it did", sum(r.n for r in found) == len(wanted)),
        ]


def _nothing(engine: Engine) -> Check:
    with TemporaryDirectory() as folder:
        found = _run(engine, folder, [])
    return Check("no units, no results", found == [], found if isinstance(found, str) else "")


def _error(engine: Engine) -> Check:
    """An error of the job is the caller's to see, as one of genepool's errors."""
    from genepool.errors import GenepoolError

    rule = "the job's own error reaches the caller as a GenepoolError"
    with TemporaryDirectory() as folder:
        try:
            list(engine.run(KitJob(folder), [_unit(0, ["error"])]))
        except GenepoolError as error:
            return Check(rule, "the job's own error" in str(error), str(error).splitlines()[0][:200])
        except Exception as error:  # the very thing that is tested
            return Check(rule, False, f"raised {type(error).__name__}: {error}"[:200])
    return Check(rule, False, "nothing was raised")


def _left(engine: Engine) -> Check:
    """A caller who stops listening after one result."""
    rule = "a caller who leaves early can run again"
    with TemporaryDirectory() as folder:
        try:
            results: Any = iter(engine.run(KitJob(folder), iter(_units())))
            next(results)
            results.close()
        except Exception as error:  # the very thing that is tested
            return Check(rule, False, f"raised {type(error).__name__}: {error}"[:200])
    with TemporaryDirectory() as folder:
        found = _run(engine, folder, _units())
    ok = not isinstance(found, str) and len(found) == _UNITS
    return Check(rule, ok, "" if ok else str(found)[:200])


def _poison(engine: Engine) -> list[Check]:
    names = [["a", "b", "poison", "c"], ["d"]]
    with TemporaryDirectory() as folder:
        found = _run(engine, folder, [_unit(i, unit) for i, unit in enumerate(names)])
        marks = {path.name for path in Path(folder).iterdir()}
    if isinstance(found, str):
        return [Check("an item that kills its worker costs only itself", False, found)]
    return [
        Check("an item that kills its worker costs only itself", {"a", "b", "c", "d"} <= marks),
        Check(
            "it is handed to quarantine() alone", {m for m in marks if "quar" in m} == {"quarantined-poison"}
        ),
        Check("and counted as set aside once", sum(r.n_aside for r in found) == 1),
    ]
