"""``genepool diversity PATH``: the style diversity index, what is rare and missing, and what was lost."""

from __future__ import annotations

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

if TYPE_CHECKING:
    from genepool.config import Config
    from genepool.store import Catalogue

__all__ = ["command"]

_SLICES = 5


@click.command("diversity")
@click.argument("path")
@click.option(
    "--reference",
    metavar="R",
    default=None,
    help="An earlier generation or the human original: what of its features is still there. The set's next "
    "report shows it.",
)
@click.option("--plot", metavar="FILE", default=None, help="Write the style map as PNG or SVG.")
@click.option(
    "--gallery", metavar="FILE", default=None, help="Write the rarest and commonest images as one PNG."
)
@workers_option
@format_option
@config_option
@workspace_option
def command(
    path: str,
    reference: str | None,
    plot: str | None,
    gallery: str | None,
    workers: int | None,
    output: str,
    config_file: str | None,
    workspace: str | None,
) -> None:
    """How many styles the images of PATH effectively hold, against a broad set of human art.

    The index is 0 for one style and 1 for a panel-wide set; repetition, noise and artefacts lower it.
    """
    from genepool import dataset, report, scan
    from genepool.cli._progress import progress

    config = settings(config_file, workers)
    opened = dataset.open(path, workspace=workspace)
    with progress() as shown:
        catalogue = scan.scan(opened, config=config, progress=shown)
        before = (
            None if reference is None else scan.scan(dataset.open(reference), config=config, progress=shown)
        )
    found = measure(catalogue, config, before)
    if reference is not None:  # the set's report shows what is lost
        catalogue.workspace.write_json("diversity.json", {**found, "against": reference})
    if plot is not None:
        report.draw_styles(catalogue, plot)
    if gallery is not None:
        report.draw_gallery(catalogue, {"rarest": found["rarest"], "commonest": found["commonest"]}, gallery)
    if output == "json":
        emit_json(found)
    elif output == "github":
        level = "notice" if found["sdi"]["value"] >= config.policy.diversity else "error"
        click.echo(f"::{level} title=style diversity::{_sentence(found)}")
    else:
        click.echo("\n".join(_lines(found, config, path)))


def measure(catalogue: Catalogue, config: Config, reference: Catalogue | None = None) -> dict[str, Any]:
    """The object ``genepool.diversity/1``.

    Raises:
        MeasureError: Fewer than three different images, or vectors of another embedder than the panel's.
    """
    from genepool.diversity import portrait

    found = portrait(catalogue, config, reference=reference).to_json()
    return {
        "schema": "genepool.diversity/1",
        "dataset": {"uri": catalogue.dataset.uri, "n": catalogue.n, "root": catalogue.root().hex()},
        **found,
    }


def _interval(found: dict[str, Any], digits: int = 2, factor: float = 1.0) -> str:
    value, lower, upper = (
        "∞" if found[key] is None else f"{factor * found[key]:.{digits}f}"
        for key in ("value", "lower", "upper")
    )
    return f"{value} [{lower}, {upper}]"


def _sentence(found: dict[str, Any]) -> str:
    sdi = found["sdi"]
    return (
        f"style diversity {_interval(sdi)} of {sdi['n']:,} images: about {found['styles']:.0f} "
        f"style{'' if round(found['styles']) == 1 else 's'}"
    )


def _lines(found: dict[str, Any], config: Config, path: str) -> list[str]:
    floor, sdi, places = config.policy.diversity, found["sdi"], found["prototypes"]
    verdict = "at least" if sdi["value"] >= floor else "below"
    copies = ", ".join(f"{n} by {kind}" for kind, n in found["copies"].items() if n)
    out = [
        _sentence(found),
        f"  {verdict} the floor of {floor:.2f}; a broad held-out set of human art reads about 0.89",
    ]
    if found["sdi_by_artist"] is not None:
        out.append(f"  with whole artists as the unit of chance: {_interval(found['sdi_by_artist'])}")
    out += [
        f"  on the support of {found['panel']} or verified human: {found['on_support']:.1%}",
        f"  near-duplicates that could go: {found['near_duplicates']:.1%}"
        + (f" ({copies})" if copies else ""),
        f"  prototypes seen {places['hill'][0]:.0f} of {places['of']}, evenly used {places['hill'][2]:.0f}; "
        f"{places['under_represented']} under-represented",
        *_missing(places["missing"], "under-represented"),
    ]
    for column, shares in found["groups"].items():
        rare = ", ".join(f"{g['name']} ({g['count']:.0f})" for g in shares["under_represented"][:_SLICES])
        out.append(
            f"  {column}: {shares['groups']} named, evenly used {shares['hill'][2]:.0f}"
            + (f"; few images: {rare}" if rare else "")
        )
    for column, slices in found["slices"].items():
        low = sorted(slices.items(), key=lambda kv: kv[1]["value"])[:_SLICES]
        out += [f"  {column} {name}: {_interval(e)} of {e['n']:,} images" for name, e in low]
    if found["vendi"] is not None:
        out.append(f"  raw Vendi score of order 2: {_interval(found['vendi'], 1)}, which noise would raise")
    if found["reference"] is not None:
        out += _compared(found["reference"])
    if sdi["value"] < floor:
        out.append("next: genepool.inject_diversity(dataset, reserve=…) in Python re-weights and retrieves")
    else:
        out.append(f"next: genepool check {path}")
    return out


def _missing(rows: list[dict[str, Any]], word: str) -> list[str]:
    named = [
        f"{row['like'] or 'prototype ' + str(row['prototype'])} ({row['count']:.0f} of {row['expected']:.1f})"
        for row in rows[:_SLICES]
    ]
    return [f"  most {word}: {', '.join(named)}"] if named else []


def _compared(found: dict[str, Any]) -> list[str]:
    ufr = found["ufr"]
    return [
        f"against the reference of {found['n']:,} images:",
        f"  unique features retained {_interval(ufr, 1)} %, rarest quarter {_interval(ufr['tail'], 1)} %",
        f"  features present at all {_interval(ufr['presence'], 1, 100.0)} %",
        f"  density {_interval(found['density'])}, coverage {_interval(found['coverage'])}",
        f"  Fréchet distance {_interval(found['frechet'])}, two like sets would read "
        f"{found['frechet']['floor']:.2f}; kernel distance {_interval(found['kernel'], 3)}",
        *_missing(found["lost"]["missing"], "lost"),
    ]
