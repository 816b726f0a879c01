"""`genepool detect`: the pixel judge's opinion, one line per image."""

from __future__ import annotations

import sys

import click

from genepool.cli import _options


@click.command()
@click.argument("path")
@click.option(
    "--detector", metavar="NAME", default=None, help="Detector plug-in, e.g. onnx:/path/model.onnx."
)
@_options.workspace_option
@_options.config_option
@_options.workers_option
@click.option(
    "--format",
    "output",
    type=click.Choice(["text", "json", "jsonl"]),
    default="text",
    show_default=True,
    help="How results are printed on stdout.",
)
def command(
    path: str,
    detector: str | None,
    workspace: str | None,
    config_file: str | None,
    workers: int | None,
    output: str,
) -> None:
    """What the pixel judge thinks of each image of PATH.

    It judges pixels only, abstains where it cannot know, and has no vote (llr 0) until it was calibrated on
    labelled controls. For a decision about the set: genepool check PATH.
    """
    from genepool import dataset, scan, store
    from genepool.cli._progress import progress
    from genepool.detection import opinions

    config = _options.settings(config_file, workers, detection__detector=detector)
    opened = dataset.open(path)
    place = store.workspace_for(opened, workspace)
    with place.lock(), progress() as report:
        catalogue = scan.scan(opened, place, config=config, progress=report)
    found = opinions(catalogue, place, config)
    if output == "json":
        _options.emit_json({"schema": "genepool.detect/1", "images": [o.to_json() for o in found]})
        return
    counts = {"ai": 0, "human": 0, "abstain": 0}
    for opinion in found:
        counts[opinion.verdict] += 1
        if output == "jsonl":
            import orjson

            sys.stdout.write(orjson.dumps(opinion.to_json()).decode() + "\n")
        else:
            p = "    –" if opinion.p_ai is None else f"{opinion.p_ai:5.3f}"
            sys.stdout.write(
                f"{opinion.verdict:<8} p(AI) {p}  llr {opinion.llr:+5.2f}  {opinion.path}  {opinion.reason}\n"
            )
    if output == "text":
        total = sum(counts.values())
        sys.stdout.write(
            f"{total} images: {counts['ai']} ai, {counts['human']} human, {counts['abstain']} abstained\n"
        )
        if counts["abstain"] == total:
            sys.stdout.write("→ no calibrated detector decided anything; origins: genepool check PATH\n")
