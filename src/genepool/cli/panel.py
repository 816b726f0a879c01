"""``genepool panel PATH -o FILE``: a reference panel of one's own, for any embedder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from genepool.cli._options import (
    config_option,
    emit_json,
    settings,
    text_or_json_option,
    workers_option,
    workspace_option,
)

if TYPE_CHECKING:
    from genepool.config import Config
    from genepool.diversity import Panel
    from genepool.store import Catalogue

__all__ = ["command"]


@click.command("panel")
@click.argument("path")
@click.option("-o", "--output", "out", metavar="FILE", required=True, help="Where to write the panel (.npz).")
@click.option("--name", metavar="NAME", default="own-1", show_default=True, help="The panel's name.")
@text_or_json_option
@workers_option
@config_option
@workspace_option
def command(
    path: str,
    out: str,
    name: str,
    output: str,
    workers: int | None,
    config_file: str | None,
    workspace: str | None,
) -> None:
    """Make a reference panel of the human pictures of PATH, with the configured embedder.

    At least 200 pictures of two sources or more: the sidecar's ``source``, else the first folder of each
    picture. ``artist`` and ``style`` of the sidecar sharpen it. Statistics only are kept, no picture.
    """
    from genepool import dataset, scan
    from genepool.cli._progress import progress

    config = settings(config_file, workers)
    opened = dataset.open(path, workspace=workspace)
    with progress() as shown:
        catalogue = scan.scan(opened, config=config, progress=shown)
    panel = make(catalogue, config, name)
    panel.save(out)
    if output == "json":
        facts = {"digest": panel.digest, "embedder": panel.embedder, **panel.notes}
        emit_json({"schema": "genepool.panel/1", **facts})
        return
    click.echo(
        f"{out}: panel {panel.name} of {catalogue.n:,} pictures for {panel.embedder}, "
        f"{len(panel.prototypes)} prototypes; {panel.reference:.0f} styles read 1"
    )
    for half in panel.notes["held_out"]:
        click.echo(f"  held-out half: {half['styles']:.0f} styles, {half['on_support']:.1%} on support")
    click.echo(f'next: diversity.panel = "{out}" in genepool.toml')


def make(catalogue: Catalogue, config: Config, name: str) -> Panel:
    """The panel of a catalogue.

    Raises:
        MeasureError: Too few pictures or sources, or some without a vector of the configured embedder.
    """
    import numpy as np

    from genepool import plugins
    from genepool.diversity import artefact_vectors, catalogue_labels, make_panel
    from genepool.errors import MeasureError

    embedder = plugins.create("embedders", config.diversity.embedder)
    identity = f"{embedder.name}@{embedder.version}"
    found = catalogue.table(["embedder"]).column("embedder").to_pylist()
    known = np.array([e == identity for e in found], bool)
    if not known.any():
        raise MeasureError(
            f"panel: expected vectors of {identity}, found none for {len(found)} images",
            hint="genepool scan PATH --rescan",
        )
    vectors = np.concatenate(list(catalogue.vectors("style")))[known]
    uris = catalogue.table(["uri"]).column("uri").to_pylist()
    sources, artists, styles = (catalogue_labels(catalogue, c) for c in ("source", "artist", "style"))
    rows = np.flatnonzero(known).tolist()
    embedder.prepare()
    noise, _ = artefact_vectors(embedder)
    return make_panel(
        vectors,
        [(sources[i] or uris[i].rpartition("/")[0].partition("/")[0], artists[i]) for i in rows],
        noise,
        name=name,
        embedder=identity,
        labels=[styles[i] for i in rows] if any(styles) else (),
    )
