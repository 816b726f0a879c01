"""``genepool plugins list``: which parts are installed."""

from __future__ import annotations

import click

from genepool.cli._options import emit_json
from genepool.plugins import GROUPS


@click.group("plugins")
def command() -> None:
    """Detectors, embedders, sources, engines: what is installed and where it comes from."""


@command.command("list")
@click.argument("group", type=click.Choice(GROUPS), required=False)
@click.option("--match", "pattern", default="*", metavar="GLOB", help="Only names that match, like onnx*.")
@click.option("--format", "output", type=click.Choice(["text", "json"]), default="text", show_default=True)
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


@command.command("check-detector")
@click.argument("spec")
@click.option("--format", "output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def check_detector(spec: str, output: str) -> int:
    """Try the detector SPEC (NAME or NAME:ARGUMENT) against every rule of the detector protocol.

    Ends with 0 where it keeps them all, with 1 where it breaks one.
    """
    from genepool.plugins import create
    from genepool.testing import check_detector as check

    checks = check(create("detectors", spec))
    broken = sum(not c.ok for c in checks)
    if output == "json":
        emit_json(
            {"schema": "genepool.conformance/1", "detector": spec, "checks": [c._asdict() for c in checks]}
        )
    else:
        for c in checks:
            click.echo(f"{'✓' if c.ok else '✗'} {c.rule}{f': {c.found}' if c.found else ''}")
        click.echo(f"{len(checks) - broken} of {len(checks)} rules kept")
    return 1 if broken else 0


@command.command("check-preference")
@click.argument("spec")
def check_preference(spec: str) -> int:
    """Try the preference model SPEC (NAME:PLACE#key=value) on pictures of odd shapes.

    Ends with 0 where it keeps its contract, with 1 where it breaks it. Prints the digest to pin it by.
    """
    from genepool import review

    model = review.open_preference_model(spec)
    problems = review.check_preference_model(model)
    for problem in problems:
        click.echo(f"✗ {problem}")
    if not problems:
        click.echo(f"✓ {model.name} keeps its contract")
    click.echo(f"sha256={model.digest}")
    return 1 if problems else 0


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
