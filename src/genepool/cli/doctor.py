"""``genepool doctor [PATH]``: what is installed, what is missing, is the workspace sound."""

from __future__ import annotations

import platform
import re
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genepool.cli._options import config_option, emit_json, format_option, settings, workspace_option
from genepool.errors import SourceError, UsageError

if TYPE_CHECKING:
    from genepool.config import Config
    from genepool.store import Compaction, Workspace

__all__ = ["command"]

_RUNS = 20
_SHOWN = 5


@click.command("doctor")
@click.argument("path", required=False)
@click.option("--repair", "mend", is_flag=True, help="Mend what can be mended; nothing is deleted.")
@click.option("--compact", "merge", is_flag=True, help="Merge small parts, drop rows that no dataset uses.")
@format_option
@config_option
@workspace_option
def command(
    path: str | None, mend: bool, merge: bool, output: str, config_file: str | None, workspace: str | None
) -> int:
    """Look at the installation and, given PATH, at its workspace: every part is read.

    Exit code 0 when all is sound, 3 when something is broken, 4 when a log does not verify. Nothing is
    changed unless asked for: --repair moves damaged files and leftovers into the workspace's folder aside/
    and says each step; --compact makes the catalogue small.
    """
    if (mend or merge) and path is None and workspace is None:
        raise UsageError(
            "doctor: --repair and --compact need a dataset or a workspace",
            hint="genepool doctor PATH --repair",
        )
    findings = examine(path, workspace, settings(config_file), mend=mend, merge=merge)
    if output == "json":
        emit_json(findings)
    elif output == "github":
        for problem in findings["problems"]:
            click.echo(f"::error::{problem}")
    else:
        click.echo("\n".join(_lines(findings)))
    return int(findings["exit"])


def examine(
    path: str | None, workspace: str | None, config: Config, *, mend: bool = False, merge: bool = False
) -> dict[str, Any]:
    """Everything that doctor knows, as ``genepool.doctor/1``.

    ``problems`` are what makes it fail, ``exit`` how; ``notes`` are what the next scan, a repair or a
    compaction clears away; ``actions`` what this call has done.
    """
    problems: list[str] = []
    space = _workspace(path, workspace, config, problems, mend=mend, merge=merge)
    integrity = bool(space and space.pop("integrity", False))
    found = {
        "schema": "genepool.doctor/1",
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": _versions(problems),
        "extras": _extras(),
        "plugins": _plugins(problems),
        "key": _key(config, problems),
        "workers": _workers(config),
        "workspace": space,
    }
    return {**found, "problems": problems, "exit": 4 if integrity else 3 if problems else 0}


def _requirements(extra: str | None) -> list[str]:
    """Names of the distributions that genepool, or one extra of it, asks for."""
    names = []
    for line in metadata.requires("genepool") or []:
        spec, _, marker = line.partition(";")
        asked = re.search(r"""extra\s*==\s*['"]([^'"]+)""", marker)
        if (asked[1] if asked else None) == extra:
            names.append(re.split(r"[\s<>=!~\[(]", spec.strip(), maxsplit=1)[0])
    return names


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _versions(problems: list[str]) -> dict[str, str | None]:
    found = {name: _installed(name) for name in ("genepool", *_requirements(None))}
    problems.extend(
        f"{name} is not installed: install genepool again" for name, v in found.items() if v is None
    )
    return found


def _extras() -> dict[str, bool]:
    names = metadata.metadata("genepool").get_all("Provides-Extra") or []
    return {name: all(_installed(need) for need in _requirements(name)) for name in sorted(names)}


def _plugins(problems: list[str]) -> dict[str, list[str]]:
    from genepool import plugins
    from genepool.errors import GenepoolError

    found: dict[str, list[str]] = {}
    for group in plugins.GROUPS:
        for entry in plugins.entries(group):
            try:
                plugins.load(group, entry.name)
            except GenepoolError as error:
                problems.append(error.message)
            else:
                found.setdefault(group, []).append(entry.name)
    return found


def _key(config: Config, problems: list[str]) -> str | None:
    from genepool import provenance
    from genepool.errors import GenepoolError

    try:
        key = provenance.load_key(config)
    except GenepoolError as error:
        problems.append(error.message)
        return None
    return None if key is None else key.place


def _workers(config: Config) -> int:
    from genepool.engine import cores

    return config.engine.workers or cores()


def _workspace(
    path: str | None,
    workspace: str | None,
    config: Config,
    problems: list[str],
    *,
    mend: bool,
    merge: bool,
) -> dict[str, Any] | None:
    if path is None and workspace is None:
        return None
    pattern = path is not None and ("://" in path or any(c in path for c in "*?[{"))
    if path is not None and not pattern and not Path(path).exists():
        raise SourceError(f"{path}: expected a dataset or a workspace, found nothing")
    from genepool.errors import WorkspaceError
    from genepool.store import Workspace, mend_mark

    named = workspace or path or ""
    if "://" in named:
        return _remote_workspace(named, config, problems, mend=mend, merge=merge)
    place = Path(named)
    if workspace is None and not (place / "workspace.json").exists():
        place = place.absolute().with_name(place.absolute().name + ".genepool")
    if not place.exists():
        return {"path": str(place), "exists": False}
    actions = mend_mark(place) if mend else []
    try:
        space = Workspace(place)
    except WorkspaceError as error:
        problems.append(error.message)
        return {"path": str(place), "exists": True}
    return {"path": str(place), "exists": True, **_state(space, config, problems, actions, mend, merge)}


def _remote_workspace(
    url: str, config: Config, problems: list[str], *, mend: bool, merge: bool
) -> dict[str, Any]:
    """The same of a workspace in an object store: its copy on this machine is looked at."""
    from genepool.store import Workspace

    space = Workspace(url)
    if not (space.root / "workspace.json").exists():
        return {"path": url, "exists": False}
    return {"path": url, "exists": True, **_state(space, config, problems, [], mend, merge)}


def _state(
    space: Workspace, config: Config, problems: list[str], actions: list[str], mend: bool, merge: bool
) -> dict[str, Any]:
    """Mend and merge as asked, then tell what an inspection finds."""
    from genepool.errors import IntegrityError
    from genepool.store import compact, inspect, repair

    if mend:
        actions += repair(space)[0]
    if merge:
        with space.lock():
            actions += _compacted(compact(space, drop=True))
    health = inspect(space)
    problems.extend(health.problems)
    integrity = False
    try:
        log = _log(space, config)
    except IntegrityError as error:
        # A damaged log must not hide what else was found; it still decides the exit code.
        problems.append(f"{error.code} {error.message}")
        log, integrity = {"logs": 0, "entries": 0}, True
    return {
        "parts": health.parts,
        "listings": health.listings,
        "verdicts": health.verdicts,
        **log,
        "findings": [
            {"kind": f.kind, "problem": f.problem, "message": f.message, "files": [str(p) for p in f.paths]}
            for f in health.findings
        ],
        "notes": list(health.notes),
        "runs": [run.to_json() for run in health.runs[-_RUNS:]],
        "actions": actions,
        "integrity": integrity,
    }


def _compacted(done: Compaction) -> list[str]:
    out = []
    if done.merged:
        out.append(
            f"merged {done.merged:,} parts into {done.made:,}, left out {done.dropped:,} rows, wrote "
            f"{done.listings:,} listings anew; the old parts go in an hour, for whoever is reading them"
        )
    if done.collected:
        out.append(f"removed {done.collected:,} files of earlier compactions, {done.freed:,} bytes")
    return out or ["nothing to merge"]


def _log(space: Workspace, config: Config) -> dict[str, Any]:
    """Audit every log that the workspace reads."""
    from genepool import provenance

    logs = provenance.open_trail(space, config).logs
    return {"logs": len(logs), "entries": sum(log.size for log in logs)}


def _lines(found: dict[str, Any]) -> list[str]:
    versions = {name: version for name, version in found["versions"].items() if version}
    out = [
        f"genepool {versions.pop('genepool', '?')} · Python {found['python']} · {found['system']} · "
        f"{found['workers']} workers",
        "needs      " + ", ".join(f"{name} {version}" for name, version in versions.items()),
        "extras     " + ", ".join(f"{n} {'✓' if ok else '–'}" for n, ok in found["extras"].items()),
        "plug-ins   "
        + "; ".join(f"{group}: {', '.join(names)}" for group, names in found["plugins"].items()),
        f"key        {found['key'] or 'none yet: genepool register human FOLDER makes one'}",
    ]
    if (space := found["workspace"]) is not None:
        if "parts" in space:
            state = (
                f"{space['parts']:,} parts, {space['listings']:,} listings, {space['verdicts']:,} verdicts, "
                f"{space['entries']:,} entries in {space['logs']:,} logs"
            )
        else:
            state = "damaged" if space["exists"] else "none yet: genepool scan PATH makes it"
        out.append(f"workspace  {space['path']}: {state}")
        out += [f"run {line}" for line in _runs(space.get("runs", []))]
        out += [f"✓ {action}" for action in space.get("actions", [])]
        out += [f"· {note}" for note in space.get("notes", [])]
    missing = [name for name, ok in found["extras"].items() if not ok]
    if missing:
        out.append(f"  → pip install 'genepool[{','.join(missing)}]' adds what is marked –")
    out += [f"✗ {problem}" for problem in found["problems"]]
    count = len(found["problems"])
    out.append("all sound" if not count else "1 problem" if count == 1 else f"{count} problems")
    return out


def _runs(runs: list[dict[str, Any]]) -> list[str]:
    """The last runs, one line each."""
    return [
        " · ".join(
            filter(
                None,
                (
                    f"{run['number']:>6}  {run['begun']}  {run['what']}",
                    run["dataset"],
                    f"{run['units']:,} units" if run["units"] else "",
                    run["outcome"],
                    run["message"],
                ),
            )
        )
        for run in runs[-_SHOWN:]
    ]
