"""``genepool lab run``: train small models on each other's pictures and measure what is lost."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from genepool.cli._options import emit_json, text_or_json_option

__all__ = ["command"]


@click.group("lab")
def command() -> None:
    """The collapse laboratory: degradation measured on real small models."""


@command.command("run")
@click.option(
    "--preset",
    required=True,
    metavar="NAME",
    help="theory, table, policies, exchange, paintings, full, or a TOML file of the same form.",
)
@click.option(
    "-o", "--out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="Folder of the run."
)
@click.option("--data", default="", metavar="PATH", help="Pictures for studies that ask for some.")
@click.option(
    "--device", default="auto", show_default=True, type=click.Choice(["auto", "cpu", "cuda"]), help="Where."
)
@click.option("--seeds", type=click.IntRange(min=1), metavar="N", help="Replicates instead of the preset's.")
@click.option("--generations", type=click.IntRange(min=2), metavar="N", help="The same for generations.")
@text_or_json_option
def run_command(
    preset: str,
    out: Path,
    data: str,
    device: str,
    seeds: int | None,
    generations: int | None,
    output: str,
) -> int:
    """Run a preset in DIR; the same call goes on where an interrupted one stopped.

    Writes result.json, tables.md, one SVG for each study and grids of samples. A run that shows no collapse
    is as good a result as one that does.
    """
    from genepool import lab

    with _bar() as report:
        result = lab.run(
            preset, out, data=data, device=device, seeds=seeds, generations=generations, progress=report
        )
    if output == "json":
        emit_json(result)
    else:
        click.echo(lab.markdown(result), nl=False)
        click.echo(f"Kept in {out}: {', '.join(_kept(out))}")
    return 0


def _kept(out: Path) -> list[str]:
    """What of a run's products lies in its folder: closed forms alone have neither plots nor samples."""
    kept = [name for name in ("result.json", "tables.md") if (out / name).is_file()]
    kept += sorted(plot.name for plot in out.glob("*.svg"))
    return [*kept, "grids/"] if any(out.glob("grids/*")) else kept


@contextlib.contextmanager
def _bar() -> Iterator[Callable[[int, int, str], None] | None]:
    """Models done, time left, what is being trained; on a terminal only."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns: tuple[Any, ...] = (
        TextColumn("lab"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)

        def report(done: int, total: int, what: str) -> None:
            bar.update(task, completed=done, total=total)
            if what:
                bar.update(task, description=what)

        yield report
