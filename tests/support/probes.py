"""Probes and jobs that behave well or badly, in a module that workers can import."""

from __future__ import annotations

import ctypes
import os
import time
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from genepool.engine import beat
from genepool.records import Unit, UnitResult


class MeanProbe:
    """Mean colour as a vector, brightness as a column."""

    name = "mean"
    version = "1"
    columns: ClassVar = {"brightness": "float"}
    vectors: ClassVar = {"colour": 3}

    def prepare(self) -> None:
        pass

    def examine(self, view: Any) -> dict[str, Any]:
        colour = view.thumbnail(32).reshape(-1, 3).mean(axis=0)
        return {"brightness": float(colour.mean()), "colour": colour.astype(np.float32)}


class SlowProbe(MeanProbe):
    """Takes its time, so that a test can interrupt it."""

    name = "slow"

    def examine(self, view: Any) -> dict[str, Any]:
        time.sleep(0.02)
        return super().examine(view)


class BadProbe(MeanProbe):
    """Does ``how`` when it meets a file whose name contains ``poison``."""

    name = "bad"

    def __init__(self, how: str) -> None:
        self.how = how

    def examine(self, view: Any) -> dict[str, Any]:
        if "poison" in view.sample.item.uri:
            misbehave(self.how)
            if self.how == "wrong type":
                return {"brightness": "very", "colour": np.zeros(3)}
            if self.how == "wrong shape":
                return {"brightness": 1.0, "colour": np.zeros(7)}
            if self.how == "missing":
                return {}
        return super().examine(view)


def misbehave(how: str) -> None:
    if how == "abort":
        os.abort()
    if how == "segfault":
        ctypes.string_at(0)
    if how == "hang":
        time.sleep(3600)
    if how == "nap":
        time.sleep(3)
    if how == "memory":
        raise MemoryError
    if how == "raise":
        raise RuntimeError("no such luck\nsecond line")


class TouchJob:
    """Leaves a file per item; misbehaves at the items named."""

    def __init__(self, folder: Path, poison: dict[str, str] | None = None, *, telling: bool = True) -> None:
        self.folder = folder
        self.poison = poison or {}
        self.telling = telling

    def prepare(self) -> None:
        misbehave(self.poison.get("prepare", ""))

    def __call__(self, unit: Unit) -> UnitResult:
        for i, item in enumerate(unit.items):
            if self.telling:
                beat(i)
            misbehave(self.poison.get(item.uri, ""))
        for item in unit.items:
            with open(self.folder / item.uri, "a") as file:
                file.write(f"{os.getpid()}\n")
        return UnitResult(unit.id, len(unit.items), 0)

    def quarantine(self, unit: Unit, reason: str) -> UnitResult:
        (self.folder / f"{unit.items[0].uri}.quarantined").write_text(reason)
        return UnitResult(unit.id, len(unit.items), len(unit.items))


class ThreadsJob(TouchJob):
    """Reports what the worker's environment is like."""

    def __call__(self, unit: Unit) -> UnitResult:
        import sys

        main = getattr(sys.modules["__main__"], "__file__", "") or ""
        text = f"{os.environ.get('OMP_NUM_THREADS')} {Path(main).name}"
        print("noise on stdout")
        (self.folder / unit.items[0].uri).write_text(text)
        return UnitResult(unit.id, 1, 0)


class FailingSource:
    """A source that breaks its promise: it raises in the middle, or answers for less than it was asked."""

    kind = "failing"
    uri = "memory:failing"

    def __init__(self, how: str) -> None:
        self.how = how

    def list(self, aside: list[Any]) -> Any:
        raise NotImplementedError

    def read(self, items: Any) -> Any:
        from genepool.records import Sample

        for i, item in enumerate(items):
            if i == 2:
                if self.how == "raise":
                    raise OSError(5, "Input/output error")
                return
            yield Sample(item, b"no image")


class PidJob(TouchJob):
    """Leaves a file per item begun, ``<item>.pid``, with the ids of its process and of that one's parent."""

    def __call__(self, unit: Unit) -> UnitResult:
        for item in unit.items:
            (self.folder / f"{item.uri}.pid").write_text(
                f"{os.getpid()} {os.getppid()} {os.environ.get('CUDA_VISIBLE_DEVICES')}"
            )
        return super().__call__(unit)


class CarriedJob(TouchJob):
    """A job whose files can be carried."""

    def at(self, folder: Path) -> CarriedJob:
        return CarriedJob(folder, self.poison, telling=self.telling)

    def take(self, files: Any) -> None:
        for name, data in files:
            assert not (self.folder / name).exists()
            (self.folder / name).write_bytes(data)


class AbortingSpread:
    """A stage whose first pass dies."""

    def __call__(self, name: str, table: Any) -> Any:
        os.abort()
