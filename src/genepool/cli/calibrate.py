"""``genepool calibrate CONTROLS``: what a detector is worth, measured on images whose origin is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from genepool.cli._options import config_option, emit_json, settings, text_or_json_option, workers_option

if TYPE_CHECKING:
    from genepool.config import Config
    from genepool.detection import Calibration, Controls


@click.command("calibrate")
@click.argument("controls")
@click.option(
    "--detector", metavar="NAME", default=None, help="Detector plug-in, e.g. onnx:/path/model.onnx."
)
@click.option(
    "--backbone",
    metavar="NAME",
    default=None,
    help="Train a linear probe on a frozen backbone: clip, onnx:PATH, timm:ARCH@weights=PATH, "
    "open_clip:ARCH@weights=PATH.",
)
@click.option("--out", metavar="FILE", default=None, help="Where the trained probe goes (with --backbone).")
@click.option("--threshold", type=float, default=None, metavar="X", help="Accuracy to promise (default .94).")
@click.option(
    "--minimum",
    type=click.IntRange(min=1),
    default=150,
    show_default=True,
    metavar="N",
    help="Smaller groups of a class are merged.",
)
@click.option(
    "--temperature",
    type=click.Choice(["worst", "pooled"]),
    default="worst",
    show_default=True,
    help="Keep the least sure group's temperature, or fit all groups together.",
)
@click.option("--plot", metavar="FILE.svg", default=None, help="Draw ROC and risk–coverage curve.")
@click.option("--workspace", metavar="DIR", default=None, help="Keep it for this workspace only.")
@config_option
@workers_option
@text_or_json_option
def command(
    controls: str,
    detector: str | None,
    backbone: str | None,
    out: str | None,
    threshold: float | None,
    minimum: int,
    temperature: str,
    plot: str | None,
    workspace: str | None,
    config_file: str | None,
    workers: int | None,
    output: str,
) -> None:
    """Fit temperature and thresholds of a detector on CONTROLS, and keep them.

    CONTROLS is a folder with human/ and ai/ inside (their sub-folders are groups, deeper ones sources), or a
    CSV file with the columns path, label, group. The detector must not have been trained on these images. The
    result is kept in the user's configuration folder, under the digest of the model, and holds for every
    dataset; with --workspace it is kept there and holds for that workspace alone.
    """
    from genepool import store
    from genepool.cli import _calibration
    from genepool.detection import keep_calibration, read_controls
    from genepool.errors import UsageError

    if backbone and detector:
        raise UsageError("calibrate: give --detector or --backbone, not both")
    if out and not backbone:
        raise UsageError("calibrate: --out goes with --backbone")
    config = settings(config_file, workers, detection__detector=detector, detection__threshold=threshold)
    known = read_controls(controls)
    options = {
        "accuracy": config.detection.threshold,
        "minimum": minimum,
        "temperature": temperature,
    }
    if backbone:
        from genepool.cli._backbone import train

        found, extra = train(known, backbone, out, options)
    else:
        found, extra = _measured(known, config, options)
    place = store.Workspace(workspace).create() if workspace else None
    kept = str(keep_calibration(found, place))
    if plot:
        _calibration.draw(found, plot)
    if output == "json":
        emit_json({**found.to_json(), **extra, "kept": kept})
        return
    click.echo("\n".join([extra["model"], *_calibration.lines(found)]))
    for reason, n in extra["abstentions"].items():
        click.echo(f"  {n} abstained: {reason}")
    for note in extra["notes"]:
        click.echo(f"  {note}")
    if extra["repeated"]:
        click.echo(f"  {extra['repeated']} files repeat others and were not counted")
    click.echo(f"\nKept: {kept}")
    if plot:
        click.echo(f"Drawn: {plot}")
    click.echo(f'→ in genepool.toml: detection.detector = "{extra["detector"]}"')


def _measured(known: Controls, config: Config, options: dict[str, Any]) -> tuple[Calibration, dict[str, Any]]:
    """Scan the controls with the configured detector and fit."""
    from genepool import scan, store
    from genepool.cli._progress import progress
    from genepool.detection import calibrate, scored
    from genepool.errors import UsageError

    if config.detection.detector in ("", "none"):
        raise UsageError(
            "calibrate: no detector is configured", hint="give one: --detector onnx:/path/model.onnx"
        )
    place = store.workspace_for(known.dataset)
    with place.lock(), progress() as report:
        catalogue = scan.scan(known.dataset, place, config=config, progress=report)
    seen = scored(known, catalogue)
    found = calibrate(
        seen.logits,
        [control.label for control in seen.controls],
        [control.group for control in seen.controls],
        source=[control.source for control in seen.controls],
        detector=seen.model.rpartition("@")[2],
        **options,
    )
    return found, {
        "model": seen.model,
        "detector": config.detection.detector,
        "abstentions": dict(seen.reasons),
        "repeated": seen.repeated,
        "notes": [],
    }
