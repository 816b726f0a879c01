"""``genepool ledger export``: the log in other people's formats."""

from __future__ import annotations

from pathlib import Path

import click

from genepool.cli._options import config_option, emit_json, format_option, settings, workspace_option
from genepool.errors import UsageError

_FORMATS = ("croissant", "prov", "spdx", "cyclonedx", "eu-summary", "jsonl")


@click.command("export")
@click.option("--as", "kind", type=click.Choice(_FORMATS), required=True, help="The format.")
@click.option("-o", "--output-file", "target", required=True, metavar="FILE", help="File to write.")
@click.option("--name", default="", help="Name of the set (default: the log's).")
@click.option("--description", default="", help="What the set is.")
@click.option("--license", "licence", default="", metavar="URL|SPDX", help="Its licence.")
@click.option("--url", default="", help="Its home page or place of download.")
@click.option("--creator", default="", metavar="NAME", help="Who publishes it.")
@click.option(
    "--source",
    "sources",
    multiple=True,
    metavar="COHORT=KIND",
    help="For eu-summary, where a cohort was got from: public, licensed, third-party, crawled, user, other.",
)
@format_option
@config_option
@workspace_option
def command(
    kind: str,
    target: str,
    name: str,
    description: str,
    licence: str,
    url: str,
    creator: str,
    sources: tuple[str, ...],
    output: str,
    config_file: str | None,
    workspace: str | None,
) -> int:
    """Write what the logs say as Croissant, W3C PROV, SPDX 3, CycloneDX, EU summary or JSON Lines.

    Every log is audited first. File names and artists lie beside the log and are not exported.
    """
    from genepool import provenance, store
    from genepool.cli.ledger import nearby_workspace

    about = provenance.About(
        name=name,
        description=description,
        license=licence,
        url=url,
        creator=creator,
        sources=dict(_source(text) for text in sources),
    )
    place = store.Workspace(workspace or nearby_workspace())
    files = provenance.export_log(place, kind, target, about, settings(config_file))
    if output == "json":
        facts = [{"file": str(path), "bytes": path.stat().st_size} for path in files]
        emit_json({"schema": "genepool.export/1", "as": kind, "files": facts})
        return 0
    for path in files:
        click.echo(f"{path}: {path.stat().st_size:,} bytes")
    if kind == "eu-summary":
        click.echo(_unplaced(files[0]))
    return 0


def _source(text: str) -> tuple[str, str]:
    cohort, equals, kind = text.rpartition("=")
    if not equals or not cohort:
        raise UsageError(f"--source {text!r}: expected COHORT=KIND")
    return cohort, kind


def _unplaced(path: Path) -> str:
    """What is still missing from the summary."""
    import orjson

    found = orjson.loads(path.read_bytes())
    if found["complete"]:
        return "Complete: every registered source stands in its section."
    names = ", ".join(one["name"] for one in found["unplaced"])
    outside = found["images_outside_registered_sources"]
    lines = [f"Not placed in a section: {names} (--source COHORT=KIND)."] if names else []
    lines += [f"{outside:,} images come from no registered source."] if outside else []
    return "\n".join(lines)
