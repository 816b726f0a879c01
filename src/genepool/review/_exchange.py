"""Verdicts out and in: JSONL, CSV, and the tasks of Label Studio."""

from __future__ import annotations

import csv
import datetime
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, fields
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from genepool.errors import UsageError
from genepool.records import Verdict
from genepool.store import ReviewRecord, Vote, check_verdict

if TYPE_CHECKING:
    from genepool.store import Workspace

__all__ = ["Format", "export_verdicts", "export_votes", "format_of", "import_verdicts"]

Format = Literal["jsonl", "csv", "labelstudio"]
_FIELDS = tuple(f.name for f in fields(Verdict))
_BOOL = {"control", "uncanny", "changed", "undo", "repeat"}
_FLOAT = {"at", "seconds"}


def format_of(path: str | Path, named: str | None = None) -> Format:
    """The format that is named, or that the file's ending says: ``.jsonl``, ``.csv``, ``.json``.

    Raises:
        UsageError: Neither.
    """
    ends: dict[str, Format] = {".jsonl": "jsonl", ".csv": "csv", ".json": "labelstudio"}
    word = named or ends.get(Path(path).suffix.lower(), "")
    if word not in ("jsonl", "csv", "labelstudio"):
        raise UsageError(f"{path}: expected jsonl, csv or labelstudio, found {word or Path(path).suffix!r}")
    return word  # type: ignore[return-value]  # just checked


def export_verdicts(
    workspace: Workspace,
    path: str | Path,
    *,
    format: str | None = None,  # the word that the command line uses
    names: Mapping[str, str] | None = None,
) -> int:
    """Write every verdict of a workspace.

    Args:
        workspace: Where they are kept.
        path: The file to write.
        format: ``jsonl``, ``csv`` or ``labelstudio``; None: by the file's ending.
        names: Digest → place of the image, for Label Studio's ``image``.

    Returns:
        How many verdicts.

    Raises:
        UsageError: An unknown format, or the file cannot be written.
    """
    kind = format_of(path, format)
    with ReviewRecord(workspace) as record:
        verdicts = record.all()
    try:
        Path(path).write_bytes(_written(verdicts, kind, names or {}))
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from error
    return len(verdicts)


def export_votes(workspace: Workspace, path: str | Path) -> int:
    """Write every preference between two images: JSONL, or CSV where the file's name ends so.

    Args:
        workspace: Where they are kept.
        path: The file to write, ``.jsonl`` or ``.csv``.

    Returns:
        How many votes.

    Raises:
        UsageError: Another ending, or the file cannot be written.
    """
    import orjson

    kind = format_of(path)
    if kind == "labelstudio":
        raise UsageError(f"{path}: expected .jsonl or .csv for votes, found .json")
    with ReviewRecord(workspace) as record:
        votes = record.votes()
    rows = [vote.to_json() for vote in votes]
    data = b"".join(orjson.dumps(row) + b"\n" for row in rows)
    if kind == "csv":
        out = io.StringIO()
        writer = csv.DictWriter(out, [f.name for f in fields(Vote)], lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
        data = out.getvalue().encode()
    try:
        Path(path).write_bytes(data)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from error
    return len(votes)


def import_verdicts(workspace: Workspace, path: str | Path, *, format: str | None = None) -> tuple[int, int]:
    """Read people's verdicts from a file; what is there already is not doubled.

    They are kept beside the others but never enter the certificate: nobody asked for them in the recorded
    random order, so their token is dropped.

    Returns:
        (new, known already).

    Raises:
        UsageError: The file cannot be read, or a line is no verdict: then nothing is imported.
    """
    kind = format_of(path, format)
    try:
        data = Path(path).read_bytes()
        text = data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read: {error}") from error
    given: list[tuple[Verdict, str]] = []
    with ReviewRecord(workspace) as record:
        known = {_identity(verdict) for verdict in record.all()}
        read = list(_read(text, kind, str(path)))
        for verdict in read:
            if (identity := _identity(verdict)) not in known:
                known.add(identity)
                given.append((verdict, f"import:{identity}"))
        new = record.add_all(given)
    return new, len(read) - new


def _identity(verdict: Verdict) -> str:
    """What makes two verdicts the same decision: who, what, when, on what."""
    at = f"{verdict.at:.3f}"
    return sha256("|".join((verdict.sha256, verdict.answer, verdict.reviewer, at)).encode()).hexdigest()


def _written(verdicts: Iterable[Verdict], kind: Format, names: Mapping[str, str]) -> bytes:
    import orjson

    if kind == "jsonl":
        return b"".join(orjson.dumps(asdict(verdict)) + b"\n" for verdict in verdicts)
    if kind == "csv":
        out = io.StringIO()
        writer = csv.DictWriter(out, _FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: _cell(v) for k, v in asdict(verdict).items()} for verdict in verdicts)
        return out.getvalue().encode()
    tasks: dict[str, dict[str, Any]] = {}
    for verdict in verdicts:
        place = names.get(verdict.sha256, verdict.sha256)
        task = tasks.setdefault(
            verdict.sha256, {"data": {"image": place, "sha256": verdict.sha256}, "annotations": []}
        )
        task["annotations"].append(_annotation(verdict))
    return orjson.dumps(list(tasks.values()), option=orjson.OPT_INDENT_2)


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str) and value[:1] in "=+-@\t\r" and value:
        return "'" + value  # a spreadsheet would run it as a formula
    return "" if value is None else value


def _annotation(verdict: Verdict) -> dict[str, Any]:
    at = datetime.datetime.fromtimestamp(verdict.at, datetime.UTC).isoformat()
    result: list[dict[str, Any]] = [
        {"from_name": "origin", "to_name": "image", "type": "choices", "value": {"choices": [verdict.answer]}}
    ]
    if verdict.comment:
        text = {"text": [verdict.comment]}
        result.append({"from_name": "comment", "to_name": "image", "type": "textarea", "value": text})
    flags = {name: True for name in sorted(_BOOL) if getattr(verdict, name)}
    return {
        "completed_by": {"email": verdict.reviewer},
        "created_at": at,
        "lead_time": verdict.seconds,
        "meta": {"at": verdict.at, **flags},
        "result": result,
    }


def _read(text: str, kind: Format, where: str) -> Iterator[Verdict]:
    import orjson

    try:
        if kind == "jsonl":
            rows: Iterable[Any] = (orjson.loads(line) for line in text.splitlines() if line.strip())
        elif kind == "csv":
            rows = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        else:
            rows = _tasks(orjson.loads(text))
        for number, row in enumerate(rows, 1):
            yield _verdict(row, f"{where} row {number}")
    except (orjson.JSONDecodeError, csv.Error) as error:
        raise UsageError(f"{where}: expected {kind}, found something else: {error}") from error


def _tasks(tasks: Any) -> Iterator[dict[str, Any]]:
    if not isinstance(tasks, list):
        raise UsageError("Label Studio: expected a list of tasks, found something else")
    for task in tasks:
        try:
            digest = task["data"]["sha256"]
            for note in task.get("annotations", []):
                words = {r["from_name"]: r["value"] for r in note["result"]}
                who, meta = note["completed_by"], note.get("meta", {})
                at = meta.get("at")
                if at is None:
                    at = datetime.datetime.fromisoformat(note["created_at"]).timestamp()
                yield {
                    **{name: meta[name] for name in _BOOL if name in meta},
                    "sha256": digest,
                    "answer": words["origin"]["choices"][0],
                    "reviewer": who["email"] if isinstance(who, dict) else str(who),
                    "at": at,
                    "seconds": note.get("lead_time"),
                    "comment": "\n".join(words.get("comment", {}).get("text", [])),
                }
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise UsageError(
                f"Label Studio: expected tasks with data.sha256 and a choice named `origin`, found {error!r}"
            ) from error


def _verdict(row: Any, where: str) -> Verdict:
    if not isinstance(row, Mapping):
        raise UsageError(f"{where}: expected an object, found {row!r}")
    try:
        values: dict[str, Any] = {}
        for name in _FIELDS:
            value = row.get(name)
            if value is None or value == "":
                continue
            if name in _BOOL:
                values[name] = value in (True, 1, "1", "true", "True")
            elif name in _FLOAT:
                values[name] = float(value)
            elif name == "sequence":
                values[name] = int(value)
            else:
                values[name] = str(value)
        values["token"] = ""
        verdict = Verdict(**values)
        check_verdict(verdict)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{where}: expected sha256, answer, reviewer and at, found {error}") from error
    except UsageError as error:
        raise UsageError(f"{where}: {error.message}") from None
    return verdict
