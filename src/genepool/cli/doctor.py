"""``genepool doctor [PATH]``: what is installed, what is missing, is the workspace sound."""

from __future__ import annotations

import platform
import re
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genepool.cli._options import config_option, emit_json, format_option, settings, workspace_option
from genepool.errors import SourceError

if TYPE_CHECKING:
    from genepool.config import Config
    from genepool.store import Workspace

__all__ = ["command"]


@click.command("doctor")
@click.argument("path", required=False)
@format_option
@config_option
@workspace_option
def command(path: str | None, output: str, config_file: str | None, workspace: str | None) -> int:
    """Look at the installation and, given PATH, at its workspace: every part is read.

    Exit code 0 when all is sound, 3 when something is broken, 4 when a log does not verify.
    Nothing is changed.
    """
    findings = examine(path, workspace, settings(config_file))
    if output == "json":
        emit_json(findings)
    elif output == "github":
        for problem in findings["problems"]:
            click.echo(f"::error::{problem}")
    else:
        click.echo("\n".join(_lines(findings)))
    return 3 if findings["problems"] else 0


def examine(path: str | None, workspace: str | None, config: Config) -> dict[str, Any]:
    """Everything that doctor knows, as ``genepool.doctor/1``; ``problems`` are what makes it fail."""
    problems: list[str] = []
    found = {
        "schema": "genepool.doctor/1",
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": _versions(problems),
        "extras": _extras(),
        "plugins": _plugins(problems),
        "key": _key(config, problems),
        "workers": _workers(config),
        "workspace": _workspace(path, workspace, config, problems),
    }
    return {**found, "problems": problems}


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
        f"{name} is not installed: pip install --upgrade genepool" for name, v in found.items() if v is None
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
    path: str | None, workspace: str | None, config: Config, problems: list[str]
) -> dict[str, Any] | None:
    if path is None and workspace is None:
        return None
    pattern = path is not None and ("://" in path or any(c in path for c in "*?[{"))
    if path is not None and not pattern and not Path(path).exists():
        raise SourceError(f"{path}: expected a dataset or a workspace, found nothing")
    from genepool.errors import WorkspaceError
    from genepool.store import Workspace, inspect

    place = Path(workspace or path or "")
    if workspace is None and not (place / "workspace.json").exists():
        place = place.absolute().with_name(place.absolute().name + ".genepool")
    if not place.exists():
        return {"path": str(place), "exists": False}
    try:
        health = inspect(Workspace(place))
    except WorkspaceError as error:
        problems.append(error.message)
        return {"path": str(place), "exists": True}
    problems.extend(health.problems)
    log = _log(Workspace(place), config)
    return {
        "path": str(place),
        "exists": True,
        "parts": health.parts,
        "listings": health.listings,
        "verdicts": health.verdicts,
        **log,
    }


def _log(space: Workspace, config: Config) -> dict[str, Any]:
    """Audit every log that the workspace reads; damage ends with exit code 4, as everywhere."""
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
    missing = [name for name, ok in found["extras"].items() if not ok]
    if missing:
        out.append(f"  → pip install 'genepool[{','.join(missing)}]' adds what is marked –")
    out += [f"✗ {problem}" for problem in found["problems"]]
    count = len(found["problems"])
    out.append("all sound" if not count else "1 problem" if count == 1 else f"{count} problems")
    return out
