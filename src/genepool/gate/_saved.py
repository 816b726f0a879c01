"""The last decision in the workspace: ``decision.json`` and ``cases.parquet``."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

from genepool.errors import WorkspaceError
from genepool.records import Case, Decision, Failure, Measure

if TYPE_CHECKING:
    from genepool.store import Workspace

__all__ = ["history", "load_decision", "save"]

POINTS = 200
"""Earlier checks that a decision remembers."""

_CONTRACT = {"schema", "status", "dataset", "measures", "failures", "set_aside", "policy"}


def save(decision: Decision, workspace: Workspace) -> None:
    """Write the decision and every case behind it (uri, role, code, reason, message, sha256).

    ``role`` is ``fail``, ``undecided`` or ``aside``.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    from genepool.store import write_atomic

    rows: list[tuple[str, str, Case]] = [
        (f.status, f.code, case) for f in decision.failures for case in f.cases
    ]
    rows += [("aside", case.code, case) for case in decision.set_aside]
    table = pa.table(
        {
            "uri": pa.array([case.uri for _, _, case in rows], pa.string()),
            "role": pa.array([role for role, _, _ in rows], pa.string()),
            "code": pa.array([code for _, code, _ in rows], pa.string()),
            "reason": pa.array([case.reason for _, _, case in rows], pa.string()),
            "message": pa.array([case.message for _, _, case in rows], pa.string()),
            "sha256": pa.array([case.sha256 for _, _, case in rows], pa.string()),
        }
    )
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    write_atomic(workspace.cases, memoryview(sink.getvalue()))
    data = decision.to_json()
    data["titles"] = {name: m.title for name, m in decision.measures.items()}
    workspace.write_json("decision.json", data)


def history(workspace: Workspace, decision: Decision, at: int) -> list[dict[str, Any]]:
    """The checks of this set so far, oldest first, this one last; at most `POINTS`, the newest.

    A check of unchanged images with an unchanged outcome replaces the one before it, so that every point is a
    state of the set. What was kept of another set, or is damaged, begins no history.

    Args:
        workspace: Holds the decision before this one, or none.
        decision: This one.
        at: Seconds since 1970, UTC.

    Returns:
        ``{"at", "root", "status", "n", "diversity", "human_ratio"}``, the last two as measures, or None.
    """
    point = {"root": decision.root, "status": decision.status, "n": decision.n}
    for name in ("diversity", "human_ratio"):
        m = decision.measures.get(name)
        point[name] = None if m is None else {"value": m.value, "lower": m.lower, "upper": m.upper, "n": m.n}
    try:
        data = workspace.read_json("decision.json")
        kept = data["history"] if data is not None and data["dataset"]["uri"] == decision.uri else []
        before = [row for row in kept if {"at", *point} <= row.keys()]
    except (WorkspaceError, KeyError, TypeError, AttributeError):
        before = []
    if before and all(before[-1][key] == value for key, value in point.items()):
        before.pop()
    return [*before, {"at": at, **point}][-POINTS:]


def load_decision(workspace: Workspace) -> Decision:
    """Read the last decision back, cases included.

    Raises:
        WorkspaceError: There is none, or it is damaged.
    """
    data = workspace.read_json("decision.json")
    if data is None:
        raise WorkspaceError(f"{workspace.root} holds no decision yet", hint="genepool check PATH makes one")
    try:
        return _rebuild(data, _cases(workspace))
    except (KeyError, TypeError, ValueError) as error:
        raise WorkspaceError(
            f"{workspace.root}: the saved decision is damaged ({error!r})",
            hint="genepool check PATH writes it anew",
        ) from None


def _cases(workspace: Workspace) -> dict[tuple[str, str], list[Case]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(workspace.cases) as file:
            table = file.read(use_threads=False)
        columns = {name: table.column(name).to_pylist() for name in table.column_names}
    except (OSError, pa.ArrowInvalid) as error:
        raise WorkspaceError(
            f"{workspace.cases}: not readable ({error})", hint="genepool check PATH writes it anew"
        ) from None
    found: dict[tuple[str, str], list[Case]] = {}
    cases = map(Case, *(columns[name] for name in ("uri", "reason", "message", "code", "sha256")))
    with _uncollected():
        for role, case in zip(columns["role"], cases, strict=True):
            # Images set aside keep their own code; failures are found by theirs.
            key = ("aside", "") if role == "aside" else (role, case.code)
            if key not in found:
                found[key] = []
            found[key].append(case)
    return found


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """No search for cycles while hundreds of thousands of cases are made, none of which is part of one.

    It would take as long as making them.
    """
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


def _rebuild(data: dict[str, Any], cases: dict[tuple[str, str], list[Case]]) -> Decision:
    titles = data.get("titles", {})
    return Decision(
        status=data["status"],
        uri=data["dataset"]["uri"],
        n=data["dataset"]["n"],
        root=data["dataset"]["root"],
        measures={name: _measure(name, titles.get(name, name), m) for name, m in data["measures"].items()},
        failures=tuple(
            Failure(
                f["code"],
                f["status"],
                f["message"],
                f["hint"],
                tuple(cases.get((f["status"], f["code"]), ())),
            )
            for f in data["failures"]
        ),
        set_aside=tuple(cases.get(("aside", ""), ())),
        policy=data.get("policy", {}),
        extra={k: v for k, v in data.items() if k not in _CONTRACT and k != "titles"},
    )


def _measure(name: str, title: str, m: dict[str, Any]) -> Measure:
    kind: Literal["floor", "ceiling", ""] = "floor" if "floor" in m else "ceiling" if "ceiling" in m else ""
    return Measure(
        name,
        title,
        m["value"],
        m["lower"],
        m["upper"],
        m["n"],
        m["method"],
        m.get(kind) if kind else None,
        kind,
        m.get("ok"),
        m.get("note", ""),
    )
