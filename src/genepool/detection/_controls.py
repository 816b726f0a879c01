"""Labelled controls of the user's own: a folder with ``human/`` and ``ai/``, or a CSV file."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from genepool.errors import UsageError

if TYPE_CHECKING:
    from genepool.dataset import Dataset
    from genepool.store import Catalogue

__all__ = ["Control", "Controls", "Scored", "read_controls", "scored"]

_SHAPE = "expected sub-folders human/ and ai/ (deeper folders are groups), or a CSV file: path,label,group"


@dataclass(frozen=True, slots=True)
class Control:
    """One labelled image: ``group`` is what the promise is made for, ``source`` what errors are listed by."""

    label: Literal["ai", "human"]
    group: str
    source: str


@dataclass(frozen=True, slots=True)
class Controls:
    """A dataset and what is known of each of its images, by uri."""

    dataset: Dataset
    labels: Mapping[str, Control]


@dataclass(frozen=True, slots=True)
class Scored:
    """Controls with a detector's logits (NaN: it decided nothing), one row per image of distinct bytes."""

    model: str
    uris: tuple[str, ...]
    logits: tuple[float, ...]
    controls: tuple[Control, ...]
    repeated: int
    reasons: Mapping[str, int]


def read_controls(place: str) -> Controls:
    """Name the controls; nothing is read but the listing.

    Args:
        place: A folder whose first level is ``human`` and ``ai``: the second level names the group, all
            folders below the label the source. Or a ``.csv`` with the columns ``path``, ``label`` (human,
            ai), ``group`` and, if wanted, ``source``; paths are relative to the file's folder.

    Raises:
        UsageError: Another shape, a label that is neither, or one class without images.
        SourceError: There is nothing, or it cannot be listed.
    """
    from genepool import dataset

    if place.lower().endswith(".csv") and Path(place).is_file():
        labels = _from_csv(Path(place))
        root = os.path.commonpath([str(Path(path).parent) for path in labels])
        relative = {os.path.relpath(path, root).replace(os.sep, "/"): c for path, c in labels.items()}
        opened = dataset.open(root).select(relative)
        listed = [item.uri for item in opened.items([])]
        if missing := sorted(set(relative) - set(listed)):
            raise UsageError(f"{place}: {len(missing)} of its images are not there, first {missing[0]}")
        found = relative
    else:
        opened = dataset.open(place)
        found = {item.uri: _from_folders(item.uri, place) for item in opened.items([])}
    for label in ("human", "ai"):
        if not any(control.label == label for control in found.values()):
            raise UsageError(f"{place}: {_SHAPE}; found no {label} image")
    return Controls(opened, found)


def _from_folders(uri: str, place: str) -> Control:
    folders = uri.split("/")[:-1]
    label = folders[0].lower() if folders else ""
    if label not in ("human", "ai"):
        raise UsageError(f"{place}: {_SHAPE}; found {uri}")
    below = folders[1:] or [label]
    return Control("ai" if label == "ai" else "human", below[0], "/".join(below))


def _from_csv(path: Path) -> dict[str, Control]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path}: expected a CSV file: {error}") from error
    if not rows or not {"path", "label"} <= set(rows[0]):
        raise UsageError(
            f"{path}: expected columns path, label, group, found {', '.join(rows[0] if rows else ())}"
        )
    found: dict[str, Control] = {}
    for line, row in enumerate(rows, 2):
        label, image = (row["label"] or "").strip().lower(), (row["path"] or "").strip()
        if label not in ("human", "ai") or not image:
            raise UsageError(
                f"{path} line {line}: expected a path and human or ai, found {image!r}, {label!r}"
            )
        group = (row.get("group") or "").strip() or label
        source = (row.get("source") or "").strip() or group
        where = os.path.normpath(path.absolute().parent / image)
        found[where] = Control("ai" if label == "ai" else "human", group, source)
    return found


def scored(controls: Controls, catalogue: Catalogue) -> Scored:
    """The scan's logits beside the labels; files of equal bytes count once.

    Raises:
        UsageError: The same bytes are labelled human and ai.
    """
    from genepool.detection._detectors import FAILED

    columns = ["uri", "sha256", "detector", "logit", "abstained"]
    table = catalogue.table(columns)
    rows: Iterable[Sequence[Any]] = zip(*(table.column(c).to_pylist() for c in columns), strict=True)
    first: dict[bytes, tuple[str, Control]] = {}
    uris: list[str] = []
    logits: list[float] = []
    known: list[Control] = []
    reasons: dict[str, int] = {}
    repeated, model = 0, ""
    for uri, digest, name, logit, abstained in rows:
        control = controls.labels[uri]
        if digest in first:
            other, before = first[digest]
            if before.label != control.label:
                raise UsageError(f"controls: {other} and {uri} are the same file, labelled ai and human")
            repeated += 1
            continue
        first[digest] = (uri, control)
        model = name or model
        if abstained:
            reason = abstained.removeprefix(FAILED)
            reasons[reason] = reasons.get(reason, 0) + 1
        uris.append(uri)
        logits.append(float("nan") if logit is None or abstained else float(logit))
        known.append(control)
    ranked = dict(sorted(reasons.items(), key=lambda kv: (-kv[1], kv[0])))
    return Scored(model, tuple(uris), tuple(logits), tuple(known), repeated, ranked)
