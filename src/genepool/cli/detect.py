"""`genepool detect`: the pixel judge's opinion, one line per image."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from genepool.cli import _options

if TYPE_CHECKING:
    from collections.abc import Iterable

    from genepool.config import Config
    from genepool.detection import Opinion
    from genepool.store import Catalogue


@click.command()
@click.argument("path", required=False)
@click.option(
    "--detector", metavar="NAME", default=None, help="Detector plug-in, e.g. onnx:/path/model.onnx."
)
@click.option("--card", is_flag=True, help="Print the detector's model card and calibration; reads no image.")
@click.option(
    "--watermarks", is_flag=True, help="Also look for the invisible marks of Stable Diffusion, SDXL and FLUX."
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
    path: str | None,
    detector: str | None,
    card: bool,
    watermarks: bool,
    workspace: str | None,
    config_file: str | None,
    workers: int | None,
    output: str,
) -> None:
    """What the pixel judge thinks of each image of PATH.

    It judges pixels only, abstains where it cannot know, and has no vote (llr 0) until it was calibrated on
    labelled controls. For a decision about the set: genepool check PATH.
    """
    changes = {"detection__detector": detector, "evidence__watermarks": True if watermarks else None}
    config = _options.settings(config_file, workers, **changes)
    if card:
        _card(config, workspace, output)
        return
    if path is None:
        raise click.UsageError("Missing argument 'PATH'.")
    from genepool import dataset, scan, store
    from genepool.cli._progress import progress
    from genepool.detection import opinions

    opened = dataset.open(path)
    place = store.workspace_for(opened, workspace)
    with place.lock(), progress() as report:
        catalogue = scan.scan(opened, place, config=config, progress=report)
    found = opinions(catalogue, place, config)
    rows = _rows(found, _marks(catalogue) if watermarks else None)
    if output == "json":
        _options.emit_json({"schema": "genepool.detect/1", "images": list(rows)})
    elif output == "jsonl":
        import orjson

        for row in rows:
            sys.stdout.write(orjson.dumps(row).decode() + "\n")
    else:
        _text(rows)


def _rows(found: Iterable[Opinion], marks: dict[str, str] | None) -> Iterable[dict[str, Any]]:
    for opinion in found:
        row = opinion.to_json()
        yield row if marks is None else {**row, "watermark": marks.get(opinion.path)}


def _marks(catalogue: Catalogue) -> dict[str, str]:
    """By uri, the generator whose invisible watermark was found."""
    import orjson

    table = catalogue.table(["uri", "evidence"])
    found: dict[str, str] = {}
    for uri, text in zip(table.column("uri").to_pylist(), table.column("evidence").to_pylist(), strict=True):
        if text and '"watermark"' in text:
            items = [item for item in orjson.loads(text) if item["kind"] == "watermark"]
            if items:
                found[uri] = str(items[0].get("model", ""))
    return found


def _text(rows: Iterable[dict[str, Any]]) -> None:
    counts = {"ai": 0, "human": 0, "abstain": 0}
    marked = 0
    for row in rows:
        counts[row["verdict"]] += 1
        p = "    –" if row["p_ai"] is None else f"{row['p_ai']:5.3f}"
        mark = row.get("watermark")
        marked += bool(mark)
        reason = f"{row['reason']}; watermark of {mark}" if mark else row["reason"]
        sys.stdout.write(f"{row['verdict']:<8} p(AI) {p}  llr {row['llr']:+5.2f}  {row['path']}  {reason}\n")
    total = sum(counts.values())
    sys.stdout.write(
        f"{total} images: {counts['ai']} ai, {counts['human']} human, {counts['abstain']} abstained"
        + (f", {marked} watermarked\n" if marked else "\n")
    )
    if counts["abstain"] == total:
        sys.stdout.write("→ no calibrated detector decided anything; origins: genepool check PATH\n")


def _card(config: Config, workspace: str | None, output: str) -> None:
    """What is to be known of the configured detector before its word is believed."""
    from genepool import plugins, store
    from genepool.detection import Shelf, model_card

    spec = config.detection.detector or "none"
    detector = plugins.create("detectors", spec)
    identity = f"{detector.name}@{detector.digest}" if detector.digest else str(detector.name)
    place = store.Workspace(workspace) if workspace else None
    held = Shelf(place, config.detection.threshold).of(identity) if detector.digest else None
    text = model_card(detector)
    if output != "text":
        facts = held.to_json() if held else None
        _options.emit_json(
            {"schema": "genepool.card/1", "model": identity, "card": text, "calibration": facts}
        )
        return
    lines = [text.rstrip() or f"# {identity}\n\nThis detector ships no model card.", ""]
    if held is None:
        lines += [
            f"Not calibrated for an accuracy of {config.detection.threshold:.0%}: it has no vote.",
            f"→ genepool calibrate CONTROLS --detector {spec}",
        ]
    elif held.measured:
        from genepool.cli._calibration import lines as told

        lines += ["## Calibration in force", "", f"model {identity}", *told(held)]
    else:
        lines += [f"Calibrated on {held.n} controls for an accuracy of {held.accuracy:.0%}."]
    click.echo("\n".join(lines))
