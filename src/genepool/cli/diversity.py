"""``genepool diversity PATH``: the style diversity index."""

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
    from genepool.diversity import StyleEstimate
    from genepool.store import Catalogue

__all__ = ["command"]


@click.command("diversity")
@click.argument("path")
@workers_option
@format_option
@config_option
@workspace_option
def command(
    path: str,
    workers: int | None,
    output: str,
    config_file: str | None,
    workspace: str | None,
) -> None:
    """How many styles the images of PATH effectively hold, against a broad set of human art.

    The index is 0 for one style and 1 for a panel-wide set; repetition, noise and artefacts lower it.
    """
    from genepool import dataset, scan
    from genepool.cli._progress import progress

    config = settings(config_file, workers)
    opened = dataset.open(path, workspace=workspace)
    with progress() as report:
        catalogue = scan.scan(opened, config=config, progress=report)
    found = measure(catalogue, config)
    if output == "json":
        emit_json(found)
    elif output == "github":
        level = "notice" if found["sdi"]["value"] >= config.policy.diversity else "error"
        click.echo(f"::{level} title=style diversity::{_sentence(found)}")
    else:
        click.echo("\n".join(_lines(found, config, path)))


def measure(catalogue: Catalogue, config: Config) -> dict[str, Any]:
    """The object ``genepool.diversity/1``.

    Raises:
        MeasureError: Fewer than two images, or vectors of another embedder than the panel's.
    """
    from genepool.diversity import (
        StyleDiversityIndex,
        cluster_weights,
        duplicate_labels,
        redundant_share,
        style_map,
        style_vectors,
        vendi_score,
        verified_human,
    )

    face = StyleDiversityIndex(config=config)
    labels = duplicate_labels(catalogue)
    weights = cluster_weights(labels)
    verified = verified_human(catalogue)
    index: StyleEstimate = face.measure(catalogue, verified=verified, weights=weights)
    vectors, lost = style_vectors(catalogue, face.panel)
    spread = style_map(vectors, face.panel, weights)
    vendi = None
    if not lost.any():
        score = vendi_score(
            lambda: (part - face.panel.mean for part in catalogue.vectors("style")), weights=weights
        )
        vendi = {**score.to_json(), "plug_in": score.plug_in, "q": score.q}
    return {
        "schema": "genepool.diversity/1",
        "dataset": {"uri": catalogue.dataset.uri, "n": catalogue.n, "root": catalogue.root().hex()},
        "sdi": index.to_json(),
        "styles": index.styles,
        "vendi": vendi,
        "on_support": index.on_support,
        "near_duplicates": redundant_share(labels),
        "prototypes": {
            "hill": list(spread.hill),
            "under_represented": len(spread.under),
            "of": len(spread.counts),
        },
        "verified_human": 0 if verified is None else int(verified.sum()),
        "panel": index.panel,
    }


def _sentence(found: dict[str, Any]) -> str:
    sdi = found["sdi"]
    return (
        f"style diversity {sdi['value']:.2f} [{sdi['lower']:.2f}, {sdi['upper']:.2f}] of {sdi['n']:,} "
        f"images: about {found['styles']:.0f} styles"
    )


def _lines(found: dict[str, Any], config: Config, path: str) -> list[str]:
    floor = config.policy.diversity
    sdi, hill = found["sdi"], found["prototypes"]["hill"]
    verdict = "at least" if sdi["value"] >= floor else "below"
    out = [
        _sentence(found),
        f"  {verdict} the floor of {floor:.2f}; a broad held-out set of human art reads about 0.89",
        f"  on the support of {found['panel']} or verified human: {found['on_support']:.1%}",
        f"  near-duplicates that could go: {found['near_duplicates']:.1%}",
        f"  prototypes seen {hill[0]:.0f} of {found['prototypes']['of']}, evenly used {hill[2]:.0f}; "
        f"{found['prototypes']['under_represented']} under-represented",
    ]
    if found["vendi"] is not None:
        vendi = found["vendi"]
        out.append(
            f"  raw Vendi score of order 2: {vendi['value']:.1f} [{vendi['lower']:.1f}, {vendi['upper']:.1f}]"
        )
    if sdi["value"] < floor:
        out.append("next: genepool.inject_diversity(dataset, reserve=…) in Python re-weights and retrieves")
    else:
        out.append(f"next: genepool check {path}")
    return out
