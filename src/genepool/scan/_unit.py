"""The unit of work: read, decode, digest, probe, write one part."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from genepool.engine import beat
from genepool.errors import GenepoolError, PluginError
from genepool.records import Case, Item, Probe, Sample, Unit, UnitResult
from genepool.remote import Unavailable
from genepool.scan._decode import Refusal, wrong_extension
from genepool.scan._digests import perceptual_hash, pixel_digest
from genepool.scan._plan import Plan
from genepool.scan._view import View
from genepool.store import PartWriter, part_key, take_parts

_HALF_MAX = 65504.0
_TOGETHER = 32_000_000
"""Pixels that may wait in memory for a batch to fill up: a third of what one image may have."""
_TIMED = re.compile(r"\d+:\d+(?:[;:]|$)")
"""A local file's stamp: size and modification time, then whatever else counts."""


def place_of(item: Item) -> str:
    """The absolute location: ``path``, ``path::offset`` or ``path#row``."""
    if item.offset >= 0:
        return f"{item.path}::{item.offset}"
    if item.row >= 0:
        return f"{item.path}#{item.row}"
    return item.path


class ScanJob:
    """Examines every item of a unit and writes the rows as one part; picklable.

    Args:
        folder: Where parts go.
        plan: What to do with each image.
        run: Number of the run, see `genepool.store.Journal`.
    """

    def __init__(self, folder: Path, plan: Plan, run: int = 0) -> None:
        self.folder = folder
        self.plan = plan
        self.run = run

    def prepare(self) -> None:
        """Load the probes' heavy state.

        Raises:
            PluginError: A probe could not.
        """
        for probe in self.plan.probes:
            try:
                probe.prepare()
            except GenepoolError:
                raise
            except Exception as error:  # a stranger's probe may raise anything
                raise PluginError(
                    f"probe {probe.name!r} cannot start: {type(error).__name__}: {error}"
                ) from error

    def __call__(self, unit: Unit) -> UnitResult:
        """Process one unit; when this returns its rows are on the disk.

        Raises:
            WorkspaceError: They cannot be written.
        """
        start = time.perf_counter()
        writer = self._writer()
        aside = 0
        for item, row in self._rows(unit):
            aside += row.get("reason") is not None
            writer.add({**self._identity(item), **row})
        writer.finish(unit.id)
        said = dict.fromkeys(text for probe in self.plan.probes for text in _remarks(probe))
        return UnitResult(unit.id, len(unit.items), aside, time.perf_counter() - start, tuple(said))

    def _rows(self, unit: Unit) -> Iterator[tuple[Item, dict[str, Any]]]:
        """The rows in the order of the items; images wait for each other as far as the probes want to."""
        together = max(map(_batch, self.plan.probes), default=1)
        waiting: list[tuple[Item, _Begun]] = []
        pixels = 0
        for item, sample in self._samples(unit):
            begun = _begin(sample, self.plan)
            waiting.append((item, begun))
            pixels += begun.row.get("width", 0) * begun.row.get("height", 0)
            if len(waiting) >= together or pixels >= _TOGETHER:
                yield from _ended(waiting, self.plan)
                waiting, pixels = [], 0
        yield from _ended(waiting, self.plan)

    def quarantine(self, unit: Unit, reason: str) -> UnitResult:
        """Set aside the one item of a unit that killed or stalled its worker."""
        writer = self._writer()
        for item in unit.items:
            writer.add(
                {**self._identity(item), "reason": "quarantined", "message": f"set aside unread: {reason}"}
            )
        writer.finish(unit.id)
        return UnitResult(unit.id, len(unit.items), len(unit.items))

    def at(self, folder: Path) -> ScanJob:
        """The same job, writing elsewhere: see `genepool.engine.Portable`."""
        return ScanJob(folder, self.plan, self.run)

    def take(self, files: Sequence[tuple[str, bytes]]) -> None:
        """Put a unit's files, written elsewhere by `at`, in their place.

        Raises:
            WorkspaceError: They cannot be written, or are not parts of this plan.
        """
        take_parts(self.folder, self.plan.digest, files)

    def _writer(self) -> PartWriter:
        return PartWriter(self.folder, self.plan.digest, self.plan.columns, self.plan.vectors, self.run)

    def _identity(self, item: Item) -> dict[str, Any]:
        place = place_of(item)
        shown = place.encode("utf-8", "backslashreplace").decode()
        return {"key": part_key(place, item.stamp, self.plan.digest), "place": shown, "stamp": item.stamp}

    def _samples(self, unit: Unit) -> Iterator[tuple[Item, Sample]]:
        """Exactly one sample per item, in order, whatever the source does."""
        at = 0
        try:
            reader = unit.source.read(unit.items)
            for at, item in enumerate(unit.items):
                beat(at)
                sample = next(reader, None)
                if sample is None or sample.item.uri != item.uri:
                    yield from _unread(unit.items[at:], "the source did not answer for it")
                    return
                yield item, _unchanged(item, sample)
        except Unavailable:
            raise  # the store is down: to set aside everything that lies there would judge half a dataset
        except (GenepoolError, OSError, ValueError, TypeError, LookupError, EOFError) as error:
            # Promised not to happen; if it does, what is left is set aside rather than lost.
            yield from _unread(unit.items[at:], f"the source failed: {type(error).__name__}: {error}")


def _unchanged(item: Item, sample: Sample) -> Sample:
    """The sample, or, where its file is not the one that was listed any more, a case that says so."""
    if sample.data is None or not item.path.startswith("/") or not _TIMED.match(item.stamp):
        return sample  # remote stores tell with each answer what they sent; memory does not change
    try:
        found = os.stat(item.path)  # noqa: PTH116  # once per image: a Path costs more than the call
    except OSError as error:
        why = f"expected the file that was listed; it went while it was read: {error.strerror or error}"
        return Sample(item, None, case=Case(item.uri, "vanished", why))
    stamp = f"{found.st_size}:{found.st_mtime_ns}"
    if f"{item.stamp};".startswith((f"{stamp};", f"{stamp}:")):
        return sample
    why = f"expected the file as it was listed ({item.stamp.split(';')[0]}); it was changed while it was read"
    return Sample(item, None, case=Case(item.uri, "changed", why))


def _unread(items: tuple[Item, ...], why: str) -> Iterator[tuple[Item, Sample]]:
    for item in items:
        yield (
            item,
            Sample(item, None, case=Case(item.uri, "unreadable", f"expected the image's bytes; {why}")),
        )


def examine(sample: Sample, plan: Plan) -> dict[str, Any]:
    """One image's row, without its identity: core columns, then the probes'.

    A refused image has ``reason`` and ``message``; everything known up to then is kept.
    """
    return _end(_begin(sample, plan), plan)


class _Begun(NamedTuple):
    """An image between its core columns and the probes'; ``view`` is None where no probe is asked."""

    row: dict[str, Any]
    view: View | None
    notes: list[str]


def _batch(probe: Probe) -> int:
    """On how many images a probe would rather work together; a stranger's may mean something else by it."""
    found = getattr(probe, "batch", 1)
    return found if isinstance(found, int) else 1


def _remarks(probe: Probe) -> list[str]:
    found = getattr(probe, "remarks", ())
    return [text for text in found if isinstance(text, str)] if isinstance(found, (tuple, list)) else []


def _ended(waiting: list[tuple[Item, _Begun]], plan: Plan) -> Iterator[tuple[Item, dict[str, Any]]]:
    """Let the probes see these images together, where they can, then finish each row."""
    views = [begun.view for _, begun in waiting if begun.view is not None]
    for probe in plan.probes if len(views) > 1 else ():
        foresee = getattr(probe, "foresee", None)
        if foresee is not None and _batch(probe) > 1:
            try:
                foresee(views)
            except MemoryError:
                raise
            except Exception:  # noqa: S112  # each image is asked alone then, and says what is wrong with it
                continue
    for item, begun in waiting:
        yield item, _end(begun, plan)


def _begin(sample: Sample, plan: Plan) -> _Begun:
    """Read, decode and digest one image."""
    import orjson

    row: dict[str, Any] = {"caption": _text(sample.caption)}
    if sample.declared is not None:
        row["declared"] = orjson.dumps(dict(sample.declared), default=str).decode()
    data = sample.data
    if data is None:
        case = sample.case or Case(sample.item.uri, "unreadable", "expected the image's bytes, found none")
        return _Begun({**row, "reason": case.reason, "message": _text(case.message)}, None, [])
    row["size"] = len(data)
    row["sha256"] = hashlib.sha256(data).digest()
    notes = [f"{sample.case.reason}: {sample.case.message}"] if sample.case else []
    try:
        if len(data) > plan.max_bytes:
            raise Refusal("too-large", f"expected at most {plan.max_bytes:,} bytes, found {len(data):,}")
        view = View(sample, max_pixels=plan.max_pixels)
        _core(row, view, notes)
    except Refusal as refusal:
        row["reason"], row["message"] = refusal.reason, _text(refusal.message)
        return _Begun(row, None, notes)
    return _Begun(row, view, notes)


def _end(begun: _Begun, plan: Plan) -> dict[str, Any]:
    """The row with the probes' columns."""
    row, view, notes = begun
    if view is not None:
        for probe in plan.probes:
            row.update(_ask(probe, view, notes))
    if "size" in row:
        row["note"] = _text("; ".join(notes)) if notes else None
    return row


def _core(row: dict[str, Any], view: View, notes: list[str]) -> None:
    header = view.header
    row["format"], row["mode"] = header.format, header.mode
    notes.extend(view.notes)
    if wrong_extension(view.sample.item.uri, header.format):
        notes.append("wrong-extension")
    row["width"], row["height"] = header.width, header.height
    decoded = view.decoded
    notes.extend(decoded.notes)
    row["height"], row["width"] = decoded.rgb.shape[:2]
    row["decoder"] = decoded.decoder
    row["pixel"] = pixel_digest(decoded.rgb if decoded.rgba is None else decoded.rgba)
    row["phash"] = perceptual_hash(view.luma())


def _ask(probe: Probe, view: View, notes: list[str]) -> dict[str, Any]:
    """A probe's columns; all null, with a note, when it fails on this image."""
    try:
        answer = probe.examine(view)
        return {**_columns(probe, answer), **_vectors(probe, answer)}
    except MemoryError:
        raise
    except Exception as error:  # a stranger's probe may raise anything; the scan goes on
        text = (str(error) or "no message").splitlines()[0]
        notes.append(f"probe {probe.name} failed: {type(error).__name__}: {text}")
        return {}


def _columns(probe: Probe, answer: Mapping[str, Any]) -> dict[str, Any]:
    values = {name: answer[name] for name in probe.columns}
    return {name: _text(value) if isinstance(value, str) else value for name, value in values.items()}


def _vectors(probe: Probe, answer: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, dim in probe.vectors.items():
        if answer.get(name) is None:
            continue
        vector = np.asarray(answer[name], dtype=np.float32)
        if vector.shape != (dim,) or not np.all(np.abs(vector) <= _HALF_MAX):
            raise ValueError(f"vector {name}: expected {dim} finite numbers, found shape {vector.shape}")
        found[name] = vector
    return found


def _text(value: str | None) -> str | None:
    # Surrogates come from undecodable bytes in names and metadata; a column of text cannot hold them.
    return None if value is None else value.encode("utf-8", "backslashreplace").decode()
