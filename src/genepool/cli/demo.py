"""``genepool demo [DIR]``: a gallery made on the spot, checked, cleaned, checked again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from genepool.cli._options import workers_option

if TYPE_CHECKING:
    from genepool.config import Config
    from genepool.records import Decision

__all__ = ["command"]


@click.command("demo")
@click.argument("directory", metavar="[DIR]", default="demo", type=click.Path(path_type=Path))
@click.option(
    "--seed", default=7, show_default=True, type=click.IntRange(min=0), help="Of every random choice."
)
@workers_option
def command(directory: Path, seed: int, workers: int | None) -> int:
    """Make a gallery of real and generated pictures in DIR, check it, clean it, check it again.

    The first check fails, as it should: there is too little human work and a third machine generation. The
    offenders are set aside, the rest goes to DIR-clean, and the second check passes. Nothing is downloaded,
    no threshold is lowered. An earlier demo in DIR is replaced; anything else is refused.

    Ends with 0 only if both checks ended exactly as expected, else with 3.
    """
    from genepool import demo
    from genepool.cli._progress import progress

    with progress() as report:
        story = demo.run(
            directory,
            seed=seed,
            config=_settings(workers),
            say=_say,
            show=_show,
            progress=report,
        )
    if story.differences:
        click.echo("The story did not go as expected:")
        for difference in story.differences:
            click.echo(f"  {difference}")
        click.echo("This is a fault of genepool or of its installation: genepool doctor")
        return 3
    click.echo(
        f"As expected: {directory} {demo.FIRST}, then {story.clean.name} {demo.SECOND}.\n"
        f"Report of the first check:  {story.reports[0]}\n"
        f"Report of the second check: {story.reports[1]}"
    )
    return 0


def _settings(workers: int | None) -> Config:
    """The defaults: a genepool.toml of the current folder could change the policy, and with it the story."""
    from genepool.config import Config

    return Config() if workers is None else Config().with_(engine__workers=workers)


def _say(text: str) -> None:
    click.echo(f"· {text}")


def _show(decision: Decision, report: Path) -> None:
    from genepool.cli.check import render

    click.echo("\n" + render(decision, report=report) + "\n")
