"""``genepool compare A B C``: several sets in one ranked table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from genepool.cli._options import config_option, emit_json, format_option, settings, workers_option

if TYPE_CHECKING:
    from genepool.errors import GenepoolError
    from genepool.records import Decision, Measure

_HEAD = ("", "set", "images", "status", "human", "generation", "diversity", "duplicates", "rules")
_RANK = {"pass": 0, "undecided": 1, "fail": 2}
_LEVEL = {"pass": "notice", "undecided": "warning", "fail": "error"}


class Judged(NamedTuple):
    """A set with its decision, or the error that kept it from one."""

    path: str
    decision: Decision | None
    error: GenepoolError | None


@click.command("compare")
@click.argument("paths", nargs=-1, required=True)
@workers_option
@format_option
@config_option
@click.option(
    "--workspace", metavar="DIR", default=None, help="Keep all results there (default: PATH.genepool each)."
)
def command(
    paths: tuple[str, ...], workers: int | None, output: str, config_file: str | None, workspace: str | None
) -> int:
    """Check each PATH by the same policy and rank them: status, then guaranteed human share, then diversity.

    Nothing is recorded: no log entry, no report. The table is the result, so sets that fail end with 0
    too; one that cannot be read, or whose log does not verify, keeps its row and ends the command with that
    error's code.
    """
    config = settings(config_file, workers)
    judged = ranked([_judge(path, workspace, config) for path in dict.fromkeys(paths)])
    if output == "json":
        emit_json({"schema": "genepool.comparison/1", "sets": [_json(i, j) for i, j in enumerate(judged, 1)]})
    elif output == "github":
        click.echo("\n".join(_annotation(i, j) for i, j in enumerate(judged, 1)))
    else:
        click.echo("\n".join(table(judged)))
    # Integrity (4) outranks everything; nothing may mask it.
    return max((j.error.exit_code for j in judged if j.error is not None), default=0)


def _judge(path: str, workspace: str | None, config: Any) -> Judged:
    from genepool import pipeline
    from genepool.cli._progress import progress
    from genepool.errors import GenepoolError

    click.echo(path, err=True)
    try:
        with progress() as report:
            decision = pipeline.check(path, workspace=workspace, config=config, progress=report, record=False)
    except GenepoolError as error:
        return Judged(path, None, error)
    return Judged(path, decision, None)


def ranked(judged: Sequence[Judged]) -> list[Judged]:
    """Best first: passed, undecided, failed, not readable; then guaranteed human share, index, name."""

    def key(j: Judged) -> tuple[float, ...]:
        if j.decision is None:
            return (3.0,)
        return (
            _RANK[j.decision.status],
            -_end(j.decision.measures.get("human_ratio"), "lower", 0.0),
            -_end(j.decision.measures.get("diversity"), "lower", 0.0),
            _end(j.decision.measures.get("generation"), "value", 0.0),
            _end(j.decision.measures.get("near_duplicates"), "value", 0.0),
        )

    return sorted(judged, key=lambda j: (key(j), j.path))


def _end(measure: Measure | None, end: str, default: float) -> float:
    value = getattr(measure, end, None)
    return default if value is None else float(value)


def table(judged: Sequence[Judged]) -> list[str]:
    """Aligned columns: rank, set, images, status, human share, generation, diversity, duplicates, rules."""
    rows: list[tuple[str, ...]] = [_HEAD]
    rows += [_row(i, j) for i, j in enumerate(judged, 1)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    right = {0, 2, 5, 7}
    lines = [
        "  ".join(
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    for j in judged:
        if j.error is not None:
            lines += ["", f"{j.path}: {j.error.code} {j.error.message}"]
            lines += [f"  → {j.error.hint}"] if j.error.hint else []
    return lines


def _row(rank: int, j: Judged) -> tuple[str, ...]:
    if j.decision is None:
        assert j.error is not None  # noqa: S101  # one of the two is there
        return (str(rank), j.path, "–", "ERROR", "–", "–", "–", "–", j.error.code)
    d = j.decision
    return (
        str(rank),
        j.path,
        f"{d.n:,}",
        d.status.upper(),
        _with_interval(d.measures.get("human_ratio")),
        _plain(d.measures.get("generation"), ".0f"),
        _with_interval(d.measures.get("diversity")),
        _plain(d.measures.get("near_duplicates"), ".3f"),
        " ".join(f.code for f in d.failures) or "–",
    )


def _with_interval(m: Measure | None) -> str:
    if m is None or m.value is None:
        return "not measured"
    if m.lower is None or m.upper is None:
        return f"{m.value:.3f}"
    return f"{m.value:.3f} [{m.lower:.3f}, {m.upper:.3f}]"


def _plain(m: Measure | None, form: str) -> str:
    return "–" if m is None or m.value is None else f"{m.value:{form}}"


def _json(rank: int, j: Judged) -> dict[str, Any]:
    if j.decision is None:
        assert j.error is not None  # noqa: S101  # one of the two is there
        error = {"code": j.error.code, "message": j.error.message, "hint": j.error.hint}
        return {"rank": rank, "path": j.path, "status": "error", "error": error}
    data = j.decision.to_json()
    kept = {key: data[key] for key in ("status", "dataset", "measures", "failures", "set_aside")}
    return {"rank": rank, "path": j.path, **kept}


def _annotation(rank: int, j: Judged) -> str:
    row = _row(rank, j)
    level = "error" if j.decision is None else _LEVEL[j.decision.status]
    text = f"{rank}. {j.path}: {row[3]}, human {row[4]}, diversity {row[6]}, rules {row[8]}"
    escaped = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return f"::{level} title=genepool compare::{escaped}"
