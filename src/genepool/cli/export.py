"""``genepool export PATH -o OUT``: write the approved subset, byte for byte, with its manifest."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from genepool.cli._options import config_option, settings, workers_option, workspace_option

if TYPE_CHECKING:
    from genepool.dataset import Manifest
    from genepool.records import Decision
    from genepool.store import Catalogue, Workspace

__all__ = ["command"]

# Named here and not taken from the room, so that --help need not load it; a test holds them equal.
FORMATS = ("folder", "imagefolder", "webdataset", "parquet", "csv", "croissant", "fiftyone", "label-studio")


@click.command("export")
@click.argument("path")
@click.option("-o", "--output", "out", required=True, metavar="OUT", help="New or empty folder to write to.")
@click.option(
    "--format", "form", type=click.Choice(FORMATS), default="folder", show_default=True, help="What to write."
)
@click.option("--all", "everything", is_flag=True, help="Every readable image, whatever the decision says.")
@workers_option
@config_option
@workspace_option
def command(
    path: str,
    out: str,
    form: str,
    everything: bool,
    workspace: str | None,
    config_file: str | None,
    workers: int | None,
) -> int:
    """Write the images of PATH that the last check found nothing against.

    Bytes are copied unchanged, captions and sidecars come along, and manifest.json says what was written and
    what was left out. Formats with columns say what is known about each image's origin; imagefolder, parquet,
    csv and croissant get a dataset card (README.md). The log of PATH is linked, so that its attestations hold
    for OUT too.
    """
    from genepool import dataset, gate, scan, store
    from genepool.cli._progress import progress

    opened = dataset.open(path, workspace=workspace)
    place = store.workspace_for(opened)
    config = settings(config_file, workers)
    decision = None if everything else _decision(path, place)
    with progress() as report:
        catalogue = scan.scan(opened, place, config=config, progress=report)
    if decision is not None:
        _still_the_same(path, decision, catalogue)
    manifest = gate.export_approved(catalogue, place, decision, out, format=form, config=config)
    unknown = _unknown(catalogue, manifest) if decision is not None and decision.status == "undecided" else 0
    _say(manifest, dict(manifest.dropped), decision, out, unknown)
    return 0


def _decision(path: str, place: Workspace) -> Decision:
    from genepool import gate
    from genepool.errors import WorkspaceError

    if place.read_json("decision.json") is None:
        raise WorkspaceError(
            f"{path}: expected a decision about these images, found none in {place.root}",
            hint=f"genepool check {shlex.quote(path)}   (or export everything readable with --all)",
        )
    return gate.load_decision(place)


def _still_the_same(path: str, decision: Decision, catalogue: Catalogue) -> None:
    """A decision speaks for the images that it saw, and for no others."""
    from genepool.errors import WorkspaceError

    found = catalogue.root().hex()
    if decision.root != found:
        raise WorkspaceError(
            f"{path}: expected the {decision.n:,} images that were checked (root {decision.root[:16]}…), "
            f"found {catalogue.n:,} (root {found[:16]}…)",
            hint=f"genepool check {shlex.quote(path)}   judges them as they are now",
        )


def _unknown(catalogue: Catalogue, manifest: Manifest) -> int:
    """Of the images that were written, those of no verified origin."""
    import orjson

    origins = catalogue.origins()
    if origins is None:
        return 0
    columns = (origins.column(name).to_pylist() for name in ("uri", "ai", "human"))
    unknown = {uri for uri, ai, human in zip(*columns, strict=True) if not (ai or human)}
    with (Path(manifest.path) / "manifest.jsonl").open("rb") as lines:
        return sum(orjson.loads(line)["source"] in unknown for line in lines)


def _say(
    manifest: Manifest, dropped: dict[str, int], decision: Decision | None, out: str, unknown: int
) -> None:
    verdict = (
        "every readable image"
        if decision is None
        else f"decision of the last check: {decision.status.upper()}"
    )
    lines = [
        f"{manifest.n:,} images written to {manifest.path} as {manifest.format} "
        f"({manifest.bytes / 1e6:,.1f} MB, root {manifest.root[:16]}…) · {verdict}"
    ]
    if dropped:
        total = sum(dropped.values())
        reasons = ", ".join(f"{n:,} {why}" for why, n in sorted(dropped.items()))
        lines.append(f"  left out    {total:,}: {reasons}   (each one in {Path(out) / 'dropped.jsonl'})")
    if unknown:
        some = "1 image" if unknown == 1 else f"{unknown:,} images"
        lines.append(
            f"  warning     {some} of no verified origin among them: the set is undecided, it has not passed"
        )
    lines.append(f"  → genepool check {shlex.quote(out)}")
    click.echo("\n".join(lines))
