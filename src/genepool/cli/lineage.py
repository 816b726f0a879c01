"""``genepool lineage PATH|MODEL``: the pedigree as a tree, as a picture, as JSON."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genepool.cli._options import (
    config_option,
    emit_json,
    format_option,
    settings,
    workers_option,
    workspace_option,
)
from genepool.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genepool.config import Config
    from genepool.origin import SetLineage
    from genepool.provenance import Trail

__all__ = ["command"]


@click.command("lineage")
@click.argument("what", metavar="PATH|MODEL", required=False)
@click.option(
    "--svg", metavar="FILE", help="Where the picture goes (default: pedigree.svg in the workspace)."
)
@click.option("--b2", type=float, metavar="B2", help="Variance kept by one pass through a model, in (0, 1].")
@click.option(
    "--required-ratio",
    "target",
    type=float,
    metavar="RETENTION",
    help="Human share that keeps the long-run retention at RETENTION; needs no PATH.",
)
@workers_option
@format_option
@config_option
@workspace_option
def command(
    what: str | None,
    svg: str | None,
    b2: float | None,
    target: float | None,
    workers: int | None,
    output: str,
    config_file: str | None,
    workspace: str | None,
) -> int:
    """What the images of PATH, or the outputs of MODEL, descend from.

    Generations as intervals (what is not known has no upper end), mean generation, inbreeding F, expected
    retention, human roots: a tree on the terminal and an SVG file. MODEL may be any registered model or
    cohort; its log is looked for near the current folder.
    """
    config = settings(config_file, workers, generation__b2=b2)
    needed = None if target is None else _required(config.generation.b2, target)
    if needed is not None and output != "json":
        click.echo(_words(needed))
    if needed is not None and what is None:
        if output == "json":
            emit_json(needed)
        return 0
    if what is None:
        raise UsageError("lineage: expected a PATH or the name of a MODEL, found nothing")
    found, roots, place, sets = _find(what, workspace, config)
    from genepool import lineage

    data = lineage.describe(
        found.pedigree, roots, b2=config.generation.b2, generations=found.generations, most=200, founders=8
    )
    _rename(data, sets)
    data["findings"] = list(found.findings)
    picture = Path(svg) if svg else place / "pedigree.svg"
    drawn = lineage.describe(found.pedigree, roots, b2=config.generation.b2, generations=found.generations)
    _rename(drawn, sets)
    partial = picture.with_name(picture.name + ".partial")
    partial.write_text(lineage.draw(drawn), encoding="utf-8")
    partial.replace(picture)
    if output == "json":
        emit_json({**data, "svg": str(picture), **({"required_ratio": needed} if needed else {})})
        return 0
    lines = lineage.tree(data)
    if data["omitted"]:
        lines.append(f"… and {data['omitted']:,} ancestors further back")
    if not data["exact"]:
        lines.append("F is sampled by gene dropping: too many models for exact coefficients")
    level = "::warning title=lineage::" if output == "github" else "finding: "
    lines += [f"{level}{text}" for text in found.findings]
    lines.append(f"Picture: {_short(picture)}")
    click.echo("\n".join(lines))
    return 0


def _required(b2: float, target: float) -> dict[str, float | str]:
    from genepool.lineage import required_human_ratio, steady_retention

    return {
        "schema": "genepool.required-ratio/1",
        "b2": b2,
        "retention": target,
        "human_ratio": required_human_ratio(b2, target),
        "retention_at_70": steady_retention(0.7, b2),
    }


def _words(needed: dict[str, float | str]) -> str:
    return (
        f"A fresh human share of {needed['human_ratio']:.1%} in every training set keeps "
        f"{needed['retention']:.0%} of the variance in the long run, if one pass through the model keeps "
        f"b² = {needed['b2']:g}.\n  At a share of 70% the long run keeps {needed['retention_at_70']:.1%}: "
        "v* = h / (1 − (1 − h)·b²)."
    )


def _rename(described: dict[str, Any], sets: Mapping[str, str]) -> None:
    """Checked sets by the names that people gave them, in place of their Merkle roots."""
    for node in described["nodes"]:
        node["name"] = sets.get(node["name"], node["name"])
        node["parts"] = {sets.get(part, part): share for part, share in node["parts"].items()}


def _checked(trail: Trail) -> dict[str, str]:
    """Root of a checked set → its name, which is that of the workspace whose log has the check."""
    return {
        body["root"]: f"{Path(log.path).parent.name.removesuffix('.genepool')} (checked, {body['root'][:8]}…)"
        for log in trail.logs
        for _, body in log.datasets
    }


def _find(
    what: str, workspace: str | None, config: Config
) -> tuple[SetLineage, list[str], Path, Mapping[str, str]]:
    """The lineage, the cohorts that were asked for, the picture's folder, and the names of checked sets."""
    if Path(what).exists() or "://" in what:
        return _of_set(what, workspace, config)
    from genepool import origin, provenance, store

    if workspace:
        space = store.Workspace(workspace)
        trail, place = provenance.open_trail(space, config), space.root
    else:
        logs = list(provenance.logs_near(Path.cwd()))
        if other := os.environ.get("GENEPOOL_WORKSPACE"):
            logs.append(Path(other) / "ledger")
        trail = provenance.read_trail(logs, config)
        place = _home(what, trail)
    found = origin.log_lineage(trail)
    if what not in found.pedigree:
        import difflib

        names = list(found.pedigree.names)
        near = difflib.get_close_matches(what, names, n=1)
        raise UsageError(
            f"lineage {what!r}: expected a path or a registered model or cohort, "
            f"found {', '.join(names[:12]) or 'nothing registered near here'}",
            hint=f"did you mean {near[0]!r}?" if near else "name the log: --workspace DATASET.genepool",
        )
    mine = set(found.pedigree.ancestors([what]))
    told = tuple(t for t in found.findings if any(f"model {name!r}" in t for name in mine))
    return (
        type(found)(found.pedigree, found.generations, found.believed, told),
        [what],
        place,
        _checked(trail),
    )


def _home(name: str, trail: Trail) -> Path:
    """The workspace in which a model or cohort is registered; the current folder where none here has it."""
    record = trail.models.get(name) or trail.cohorts.get(name)
    where = next((log.path for log in trail.logs if record is not None and log.origin == record.log), "")
    return Path(where).parent if where and "://" not in where else Path.cwd()


def _of_set(
    path: str, workspace: str | None, config: Config
) -> tuple[SetLineage, list[str], Path, Mapping[str, str]]:
    from genepool import dataset, origin, scan, store
    from genepool.cli._progress import progress

    opened = dataset.open(path, workspace=workspace)
    place = store.workspace_for(opened, workspace)
    with place.lock():
        with progress() as report:
            catalogue = scan.scan(opened, place, config=config, progress=report)
        found = origin.lineage_of(origin.settle(catalogue, place, config))
    if origin.SET not in found.pedigree:
        raise UsageError(
            f"{path}: expected images of registered cohorts or models, found {catalogue.n:,} unknown",
            hint=f"genepool register human FOLDER --workspace {shlex.quote(place.where)}",
        )
    return found, [origin.SET], place.root, {}


def _short(path: Path) -> str:
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
