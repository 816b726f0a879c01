"""``genepool plugins``: which parts are installed, and whether they keep their contracts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from genepool.cli._options import emit_json, text_or_json_option
from genepool.plugins import GROUPS

if TYPE_CHECKING:
    from collections.abc import Callable

    from genepool.testing import Check

# The kinds of plug-ins for which `genepool.testing` has a kit.
KITS = ("detectors", "embedders", "engines", "evidence", "preferences", "rules", "sources")


@click.group("plugins")
def command() -> None:
    """Detectors, embedders, sources, engines: what is installed and where it comes from."""


@command.command("list")
@click.argument("group", type=click.Choice(GROUPS), required=False)
@click.option("--match", "pattern", default="*", metavar="GLOB", help="Only names that match, like onnx*.")
@text_or_json_option
def listing(group: str | None, pattern: str, output: str) -> int:
    """Name, object and distribution of every plug-in, or of one GROUP. Nothing is imported."""
    from genepool.plugins import entries

    found = [entry for name in ([group] if group else GROUPS) for entry in entries(name, pattern)]
    if output == "json":
        emit_json({"schema": "genepool.plugins/1", "plugins": [entry._asdict() for entry in found]})
        return 0
    if not found:
        click.echo("none")
        return 0
    rows = [("group", "name", "from", "object")]
    rows += [(e.group, e.name, f"{e.distribution} {e.version}", e.target) for e in found]
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    for row in rows:
        head = "  ".join(cell.ljust(width) for cell, width in zip(row[:3], widths, strict=True))
        click.echo(f"{head}  {row[3]}")
    return 0


@command.command("check")
@click.argument("group", type=click.Choice(KITS))
@click.argument("spec")
@text_or_json_option
def check(group: str, spec: str, output: str) -> int:
    """Try a plug-in against every rule of its kind: GROUP, and SPEC as NAME or NAME:ARGUMENT.

    Ends with 0 where it keeps them all, with 1 where it breaks one. A preference model's or detector's digest
    is printed, to pin it by.
    """
    checks, digest = _tried(group, spec)
    broken = sum(not c.ok for c in checks)
    if output == "json":
        emit_json(
            {
                "schema": "genepool.conformance/1",
                "group": group,
                "plugin": spec,
                "digest": digest,
                "checks": [c._asdict() for c in checks],
            }
        )
    else:
        for c in checks:
            click.echo(f"{'✓' if c.ok else '✗'} {c.rule}{f': {c.found}' if c.found else ''}")
        click.echo(f"{len(checks) - broken} of {len(checks)} rules kept")
        if digest:
            click.echo(f"sha256={digest}")
    return 1 if broken else 0


def _tried(group: str, spec: str) -> tuple[tuple[Check, ...], str]:
    """What the kit of a group says about one plug-in, and the plug-in's digest if it has one."""
    from genepool import plugins, review, testing

    if group == "preferences":
        part: Any = review.open_preference_model(spec)
    elif group == "engines":
        part = plugins.create(group, spec, workers=2)
    else:
        part = plugins.create(group, spec)
    kits: dict[str, Callable[[Any], tuple[Check, ...]]] = {
        "detectors": testing.check_detector,
        "embedders": testing.check_embedder,
        "engines": testing.check_engine,
        "evidence": testing.check_evidence_reader,
        "preferences": testing.check_preference,
        "rules": testing.check_rule,
        "sources": testing.check_source,
    }
    return kits[group](part), str(getattr(part, "digest", ""))


@command.command("fetch-detector")
@click.argument("spec")
@click.option("--revision", metavar="REV", default=None, help="Branch, tag or commit; a commit is safest.")
def fetch_detector(spec: str, revision: str | None) -> None:
    """Download a detector hf:ORG/NAME from the Hugging Face Hub: settings and safetensors weights only.

    This is the only command that fetches a model. Prints the digest to pin it by.
    """
    from genepool.detection import fetch_model

    repository = spec.removeprefix("hf:")
    folder, digest = fetch_model(repository, revision)
    click.echo(f"{repository}: {folder}")
    pinned = f"hf:{repository}@sha256={digest}" + (f",revision={revision}" if revision else "")
    click.echo(f'→ in genepool.toml: detection.detector = "{pinned}"')
