"""Cohorts and models as the logs state them, with the generations that follow.

A cohort is a named collection (human work, or one model's outputs). A model's generation is that of its
*outputs*: 1 + the highest generation it was trained on, and at least its base model's. What is not known has
no upper end. A high lower end is believed from anyone; an upper end only from a trusted key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genepool.provenance._fold import CLASSES, UNBOUNDED, LogState, ModelEntry
from genepool.records import OriginClass

__all__ = [
    "CohortRecord",
    "Interval",
    "ModelRecord",
    "gather_cohorts",
    "gather_models",
    "training_generation",
]

Interval = tuple[int, int | None]
UNKNOWN: Interval = (0, None)


@dataclass(frozen=True, slots=True)
class CohortRecord:
    """A registered collection.

    Attributes:
        name: Its name.
        origin: `OriginClass` value of its images.
        n: Images attested and not withdrawn.
        model: The model that made them, for outputs.
        root: Merkle root (hex) of the folder as it was registered last.
        roots: All roots that were registered under this name.
        generation: ``(lo, hi)`` over its images; hi None = unbounded.
        trusted: Whether a key that may claim human work registered it.
        key: Id of that key.
        log: Origin line of the log.
    """

    name: str
    origin: str
    n: int
    model: str = ""
    root: str = ""
    roots: tuple[str, ...] = ()
    generation: Interval = UNKNOWN
    trusted: bool = False
    key: str = ""
    log: str = ""


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """A registered model.

    Attributes:
        name: Its name.
        trained_on: ``(cohort, model, dataset root in hex or "unknown", share in [0, 1] or None)``.
        base: Name of the model that it was fine-tuned from, if any.
        generation: ``(lo, hi)`` of the images that it makes; hi None = unbounded.
        trusted: Whether a trusted key registered it.
        key: Id of that key.
        log: Origin line of the log.
        index: Leaf index in it.
    """

    name: str
    trained_on: tuple[tuple[str, float | None], ...]
    base: str = ""
    generation: Interval = (1, None)
    trusted: bool = False
    key: str = ""
    log: str = ""
    index: int = -1


def training_generation(parts: Iterable[Interval], base: Interval | None = None) -> Interval:
    """Generation of a model's outputs: 1 + the highest of what it was trained on; at least its base's."""
    ends = [(lo + 1, None if hi is None else hi + 1) for lo, hi in parts]
    if base is not None:
        ends.append(base)
    if not ends:
        return 1, None
    highs = [hi for _, hi in ends if hi is not None]
    return max(lo for lo, _ in ends), max(highs) if len(highs) == len(ends) else None


# ----------------------------------------------------------------------------------------------- cohorts


def gather_cohorts(
    states: Sequence[LogState], trusted: Mapping[int, frozenset[int]], problems: list[str]
) -> dict[str, CohortRecord]:
    """Cohorts of all logs by name. A trusted key's cohort hides a stranger's of the same name.

    Args:
        states: The logs.
        trusted: Log number → numbers of its batches whose key may claim human work.
        problems: Sentences about contradictions are appended.
    """
    found: dict[str, CohortRecord] = {}
    parts: dict[str, list[tuple[NDArray[np.uint8], bool]]] = {}
    for number, state in reversed(list(enumerate(states))):
        claims = state.claims
        for at, batch in enumerate(state.batches):
            name = batch.predicate.get("cohort")
            if batch.role != "attest" or not isinstance(name, str) or not name:
                continue
            start, stop = np.searchsorted(claims.index, [batch.first, batch.index])
            rows = np.arange(start, stop)[claims.attested[start:stop]]
            good = at in trusted[number]
            record = _cohort(state, batch.predicate, name, rows, good)
            record = replace(record, key=batch.key.id, log=state.origin)
            if record.n:
                found[name] = _merge(found.get(name), record, problems)
                parts.setdefault(name, []).append((claims.sha[rows], good))
    # Two logs, or two entries of one, may name the same image: it is one image of the cohort.
    for name, several in parts.items():
        if len(several) > 1:
            rows = np.concatenate([sha for sha, good in several if good == found[name].trusted])
            found[name] = replace(found[name], n=len(np.unique(np.ascontiguousarray(rows).view("V32"))))
    return found


def _cohort(
    state: LogState, predicate: Mapping[str, Any], name: str, rows: Any, trusted: bool
) -> CohortRecord:
    claims = state.claims
    root = predicate.get("dataset")
    roots = (root,) if isinstance(root, str) else ()
    if not len(rows):
        return CohortRecord(name, OriginClass.UNKNOWN.value, 0)
    codes = np.unique(claims.origin[rows])
    classes = [CLASSES[code] for code in codes]
    origin = classes[0] if len(classes) == 1 else _worst(classes)
    highs = claims.hi[rows]
    hi = None if not trusted or bool((highs == UNBOUNDED).any()) else int(highs.max())
    models = {claims.names[code] for code in np.unique(claims.model[rows])} - {""}
    return CohortRecord(
        name=name,
        origin=origin,
        n=len(rows),
        model=min(models) if models else "",
        root=roots[0] if roots else "",
        roots=roots,
        generation=(int(claims.lo[rows].max()), hi),
        trusted=trusted,
    )


def _worst(classes: Iterable[str]) -> str:
    order = ("synthetic", "mixed", "unknown", "algorithmic", "human_made", "captured")
    return min(classes, key=order.index)


def _merge(old: CohortRecord | None, new: CohortRecord, problems: list[str]) -> CohortRecord:
    if old is None or (new.trusted and not old.trusted):
        return new
    if old.trusted and not new.trusted:
        return old
    if old.origin != new.origin and {old.origin, new.origin} != {"human_made", "captured"}:
        problems.append(
            f"cohort {new.name!r}: registered as {old.origin} and as {new.origin}; the worse counts"
        )
    highs = (old.generation[1], new.generation[1])
    return replace(
        new,
        origin=_worst([old.origin, new.origin]),
        n=old.n + new.n,
        model=new.model or old.model,
        roots=tuple(dict.fromkeys((*old.roots, *new.roots))),
        generation=(
            max(old.generation[0], new.generation[0]),
            None if highs[0] is None or highs[1] is None else max(highs[0], highs[1]),
        ),
    )


# ------------------------------------------------------------------------------------------------ models


def gather_models(
    states: Sequence[LogState],
    trusted: Mapping[int, frozenset[int]],
    cohorts: Mapping[str, CohortRecord],
    problems: list[str],
) -> dict[str, ModelRecord]:
    """Models of all logs by name, their generations computed from what they were trained on.

    Entries are taken in the order of each log, so a model can only descend from earlier ones; the logs that
    were named last come first, so that the workspace's own can build on them.
    """
    found: dict[str, ModelRecord] = {}
    for number, state in reversed(list(enumerate(states))):
        good = {state.batches[at].index for at in trusted[number]}
        datasets = _dataset_generations(state)
        for entry in state.models:
            if entry.batch is None or entry.batch.role != "model":
                problems.append(f"log {state.origin}: model entry {entry.index} has no valid seal; ignored")
                continue
            record = _model(entry, entry.batch.index in good, state.origin, found, cohorts, datasets)
            old = found.get(record.name)
            if old is None or record.trusted or not old.trusted:
                found[record.name] = record
            _compare(record, entry, problems)
    return found


def _model(
    entry: ModelEntry,
    trusted: bool,
    log: str,
    models: Mapping[str, ModelRecord],
    cohorts: Mapping[str, CohortRecord],
    datasets: Mapping[str, Interval],
) -> ModelRecord:
    body = entry.body
    parts: list[Interval] = []
    names: list[tuple[str, float | None]] = []
    for item in body["trained_on"]:
        ref, kind, ppm = item["ref"], item["kind"], item["ppm"]
        names.append((ref, None if ppm is None else ppm / 1_000_000))
        if kind == "cohort" and ref in cohorts:
            parts.append(_believed(cohorts[ref]))
        elif kind == "model" and ref in models:
            parts.append(models[ref].generation)
        elif kind == "dataset":
            parts.append(datasets.get(ref, UNKNOWN))
        else:
            parts.append(UNKNOWN)
    base = body.get("base", "")
    below = (models[base].generation if base in models else (1, None)) if base else None
    lo, hi = training_generation(parts, below)
    claimed = body["gen"][0]
    return ModelRecord(
        name=body["name"],
        trained_on=tuple(names),
        base=base,
        generation=(max(lo, claimed), None if not trusted or hi is None else max(hi, claimed)),
        trusted=trusted,
        key=entry.batch.key.id if entry.batch else "",
        log=log,
        index=entry.index,
    )


def _believed(cohort: CohortRecord) -> Interval:
    human = OriginClass(cohort.origin).is_human
    return cohort.generation if cohort.trusted or not human else UNKNOWN


def _dataset_generations(state: LogState) -> dict[str, Interval]:
    """Training sets that were checked: root → generation interval of their images."""
    return {body["root"]: (body["gen"][0], body["gen"][1]) for _, body in state.datasets}


def _compare(record: ModelRecord, entry: ModelEntry, problems: list[str]) -> None:
    claimed = entry.body["gen"]
    if record.trusted and claimed[1] is not None and claimed[1] < record.generation[0]:
        problems.append(
            f"model {record.name!r}: registered with generation {claimed[0]} to {claimed[1]}, but what it "
            f"was trained on makes it at least {record.generation[0]}"
        )
