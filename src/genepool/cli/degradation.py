"""``genepool degradation GEN1 GEN2 …``: what each generation of a model has lost."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genepool.cli._options import config_option, emit_json, format_option, settings

if TYPE_CHECKING:
    from genepool.degradation import DegradationReport

__all__ = ["command"]


@click.command("degradation")
@click.argument("generations", nargs=-1, required=True, metavar="GEN1 GEN2 …")
@click.option("--reference", metavar="HUMAN", help="Human images to measure against (default: half of GEN1).")
@click.option(
    "--human", metavar="SHARES", help="Human share of each training set, 1,0.5,0.2: adds a forecast."
)
@click.option("--predict", metavar="SHARES", help="Forecast coming trainings with these human shares.")
@click.option("--names", metavar="A,B,…", help="What to call the generations.")
@click.option(
    "-n",
    "count",
    type=click.IntRange(min=40),
    default=1000,
    show_default=True,
    metavar="N",
    help="Images drawn at random from each set, at most.",
)
@click.option(
    "--keep",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.9,
    show_default=True,
    help="Alarm below this share of GEN1.",
)
@click.option(
    "--floor",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.6,
    show_default=True,
    help="Retention to keep, as a share of GEN1.",
)
@click.option("--ladder", metavar="DIR", help="Your own ladder of genepool review, where you used one.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of draws.")
@click.option("-o", "--out", metavar="DIR", help="Write degradation.json and the plots (SVG) there.")
@click.option(
    "--workspace", metavar="DIR", default=None, help="Keep the result there, for that set's report."
)
@format_option
@config_option
def command(generations: tuple[str, ...], output: str, config_file: str | None, **o: Any) -> None:
    """Measure samples of successive versions of a model, oldest first, against human work and against GEN1.

    Unique feature retention, style diversity, people's preference, coverage, density, Fréchet distance, and
    the three mechanisms of collapse, each with its interval, beside the table of the article that claims
    them.
    """
    from genepool import degradation
    from genepool.cli._progress import progress

    shares = _shares(o["human"], "--human")
    coming = _shares(o["predict"], "--predict")
    if coming is not None and shares is None:
        raise click.UsageError("--predict needs --human: how was each generation's training set mixed?")
    with progress("read") as report:
        found = degradation.measure(
            generations,
            o["reference"],
            names=None if o["names"] is None else [name.strip() for name in o["names"].split(",")],
            human=shares,
            n=o["count"],
            keep=o["keep"],
            floor=o["floor"],
            ladder=o["ladder"],
            seed=o["seed"],
            config=settings(config_file),
            progress=report,
        )
    data = found.to_json()
    data["predictions"] = _predictions(found, coming)
    written = _write(found, data, o["out"], o["workspace"])
    if output == "json":
        emit_json(data)
    elif output == "github":
        level = "error" if found.alarm.generation is not None else "notice"
        for line in found.sentences():
            click.echo(f"::{level if line.startswith('alarm') else 'notice'} title=degradation::{line}")
    else:
        click.echo("\n".join([*found.table(), *_words(data["predictions"]), *written]))


def _shares(text: str | None, option: str) -> list[float] | None:
    """``1,0.5,20%`` → shares."""
    if text is None:
        return None
    found = []
    for part in text.split(","):
        try:
            value = part.strip()
            found.append(float(value[:-1]) / 100 if value.endswith("%") else float(value))
        except ValueError:
            raise click.BadParameter(
                f"expected shares like 1,0.5,0.2, found {part!r}", param_hint=option
            ) from None
        if not 0 <= found[-1] <= 1:
            raise click.BadParameter(f"expected shares from 0 to 1, found {part.strip()}", param_hint=option)
    return found


def _predictions(found: DegradationReport, coming: list[float] | None) -> dict[str, Any]:
    if not coming:
        return {}
    return {
        name: [
            {"generation": len(found.generations) + i, "human": share, **value.to_json()}
            for i, (share, value) in enumerate(zip(coming, made.predict(coming), strict=True), 1)
        ]
        for name, made in found.forecast.items()
    }


def _words(predictions: dict[str, Any]) -> list[str]:
    from genepool.degradation import MEASURES

    out = []
    for name, rows in predictions.items():
        about = MEASURES[name]
        cells = [
            f"generation {row['generation']} at {row['human']:.0%} human {row['value']:.{about.digits}f} "
            f"[{row['lower']:.{about.digits}f}, {row['upper']:.{about.digits}f}]"
            for row in rows
        ]
        out.append(f"predicted {about.title}: {'; '.join(cells)}")
    return out


def _write(found: DegradationReport, data: Any, out: str | None, workspace: str | None) -> list[str]:
    """The files, and the lines that name them."""
    import orjson

    from genepool import degradation, store
    from genepool.errors import WorkspaceError

    lines = []
    if workspace is not None:
        place = store.Workspace(workspace).create()
        place.write_json("degradation.json", data)
        lines.append(f"kept in {place.root}: its next report shows it")
    if out is not None:
        target = Path(out) / "degradation.json"
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(orjson.dumps(data, option=orjson.OPT_INDENT_2) + b"\n")
        except OSError as error:
            raise WorkspaceError(f"{target} cannot be written: {error.strerror or error}") from None
        lines.append(f"written: {target}")
        lines += [f"written: {name}" for name in degradation.save(degradation.plots(found), out)]
    return lines
