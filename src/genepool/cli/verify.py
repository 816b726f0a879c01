"""``genepool verify PATH``: compare a dataset's origins with the log."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click

from genepool.cli._options import (
    config_option,
    emit_json,
    format_option,
    settings,
    workers_option,
    workspace_option,
)

if TYPE_CHECKING:
    from genepool.provenance import OriginReport, State

_WORDS: dict[State, str] = {
    "human": "attested human",
    "ai": "attested AI",
    "other": "attested, neither",
    "disputed": "disputed",
    "unknown": "unknown",
}
_SHOWN = 10


@click.command("verify")
@click.argument("path")
@workers_option
@format_option
@config_option
@workspace_option
def command(
    path: str, workers: int | None, output: str, config_file: str | None, workspace: str | None
) -> int:
    """Say what the logs attest about the images of PATH. Every log is audited first.

    Exit code 0 when the logs are sound, whatever they say about the images; 4 when one is damaged.
    """
    from genepool import dataset, provenance, scan, store
    from genepool.cli._progress import progress

    config = settings(config_file, workers)
    opened = dataset.open(path)
    place = store.workspace_for(opened, workspace)
    with progress() as report:
        catalogue = scan.scan(opened, place, config=config, progress=report)
    trail = provenance.open_trail(place, config, dataset=opened)
    found = provenance.report_origins(catalogue, trail)
    if output == "json":
        emit_json({"schema": "genepool.verify/1", "dataset": opened.uri, **found.to_json()})
    else:
        _print(found, path, len(catalogue.cases()))
    return 0


def _print(found: OriginReport, path: str, aside: int) -> None:
    summary = found.summary()
    click.echo(f"{path}: {found.n:,} images, root {found.root[:16]}…")
    for log in summary["logs"]:
        click.echo(f"  log {log['origin']}: {log['size']:,} entries, sound")
    if not summary["logs"]:
        click.echo("  no log yet")
    for state, word in _WORDS.items():
        count = found.counts[state]
        if count or state in ("human", "ai", "unknown"):
            share = count / found.n if found.n else 0.0
            click.echo(f"  {word:<18} {count:>10,}  {share:6.1%}{_makers(found, state)}")
    if found.n_untrusted:
        click.echo(f"  {found.n_untrusted:,} of the unknown are claimed by keys that are not trusted")
    if aside:
        click.echo(f"  {aside:,} files were set aside and are not counted")
    click.echo(
        f"  human share        at least {found.lower:.3f}, at most {found.upper:.3f} (n = {found.n:,})"
    )
    for problem in found.problems[:_SHOWN]:
        click.echo(f"  note: {problem}")
    if found.counts["unknown"]:
        click.echo(f"Next: genepool register human {shlex.quote(path)}   (what you know to be human work)")


def _makers(found: OriginReport, state: State) -> str:
    """The cohorts behind a line, largest first."""
    names = found.cohorts(state)
    if not names:
        return ""
    shown = [f"{name} ({n:,})" for name, n in list(names.items())[:3]]
    more = f", {len(names) - 3} more" if len(names) > 3 else ""
    return f"   {', '.join(shown)}{more}"
