"""``genepool cost``: what ways to feed a model cost, and what they are worth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genepool.cli._options import config_option, emit_json, format_option, settings

if TYPE_CHECKING:
    from genepool.degradation import Forecaster
    from genepool.economics import CostReport, Debt

__all__ = ["command"]


@click.command("cost")
@click.option(
    "--assumptions", metavar="FILE", help="Your numbers (TOML); what it leaves out keeps its default."
)
@click.option("--init-assumptions", metavar="FILE", help="Write all numbers with unit and source, and stop.")
@click.option(
    "--degradation", metavar="FILE", help="Forecast from this degradation.json instead of the article."
)
@click.option(
    "--trace",
    "start",
    metavar="WHAT",
    help="Count technical debt downstream of an image, model or cohort in the log.",
)
@click.option("--compare", metavar="A,B", help="Strategies of sensitivity and break-even.")
@click.option("--months", type=click.IntRange(1, 600), help="Horizon (default: 18).")
@click.option("--draws", type=click.IntRange(min=100), default=2000, show_default=True, help="Monte Carlo.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the draws.")
@click.option("-o", "--out", metavar="DIR", help="Write cost.json, cost.csv and the plots (SVG) there.")
@click.option(
    "--workspace",
    metavar="DIR",
    default=None,
    help="With --trace: whose log; else: keep the result there, for that set's report.",
)
@format_option
@config_option
def command(output: str, config_file: str | None, **o: Any) -> None:
    """Compare strategies (human only, hybrid 70/30 gated, synthetic heavy, unfiltered scrape) over 18 months.

    Counts acquiring, verifying, detecting and reviewing images, training, repair when retention falls under
    the floor, technical debt, lost share and brand damage. Every number can be replaced.
    """
    from genepool import economics

    if o["init_assumptions"]:
        _init(Path(o["init_assumptions"]))
        return
    given = (
        economics.Assumptions.load(o["assumptions"]) if o["assumptions"] else economics.Assumptions.default()
    )
    if o["months"]:
        given = given.with_values(general__horizon=o["months"])
    found = economics.evaluate(
        given,
        _forecaster(o["degradation"]),
        draws=o["draws"],
        seed=o["seed"],
        debt=_debt(o["start"], o["workspace"], config_file),
        compare=_pair(o["compare"]),
    )
    data = found.to_json()
    written = _write(found, data, o["out"], o["workspace"])
    if output == "json":
        emit_json(data)
    elif output == "github":
        click.echo("\n".join(f"::notice title=genepool cost::{line}" for line in found.sentences()))
    else:
        click.echo("\n".join([*found.table(), *written]))


def _init(path: Path) -> None:
    from genepool import economics
    from genepool.errors import UsageError, WorkspaceError

    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(economics.template())
    except FileExistsError:
        raise UsageError(f"{path} is there already", hint="give another name, or move it away") from None
    except OSError as error:
        raise WorkspaceError(f"{path} cannot be written: {error.strerror or error}") from None
    click.echo(f"written: {path}\nnext: change what you know better, then genepool cost --assumptions {path}")


def _pair(text: str | None) -> tuple[str, str] | None:
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 2:
        raise click.BadParameter(f"expected two strategies, A,B, found {text!r}", param_hint="--compare")
    return parts[0], parts[1]


def _forecaster(file: str | None) -> Forecaster | None:
    """The retention forecast of a saved degradation report.

    Raises:
        UsageError: No such file, not JSON, or a report without human shares.
        MeasureError: JSON of something else.
    """
    if file is None:
        return None
    import orjson

    from genepool.degradation import DegradationReport
    from genepool.errors import UsageError

    try:
        data = orjson.loads(Path(file).read_bytes())
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror or error}") from None
    except orjson.JSONDecodeError as error:
        raise UsageError(f"{file}: not JSON: {error}") from None
    made = DegradationReport.from_json(data).forecast.get("retention_first")
    if made is None:
        raise UsageError(
            f"{file}: expected a forecast of retention, found none",
            hint="genepool degradation GEN1 GEN2 --human 1,0.5 -o DIR: say how the training sets were mixed",
        )
    return made


def _debt(start: str | None, workspace: str | None, config_file: str | None) -> Debt | None:
    if start is None:
        return None
    from genepool import economics
    from genepool.cli.trace import traced

    return economics.count_debt(*traced(start, workspace, settings(config_file)))


def _write(found: CostReport, data: Any, out: str | None, workspace: str | None) -> list[str]:
    import orjson

    from genepool import degradation, economics, store
    from genepool.errors import WorkspaceError

    lines = []
    if workspace is not None:
        place = store.Workspace(workspace).create()
        place.write_json("cost.json", data)
        lines.append(f"kept in {place.root}: its next report shows it")
    if out is not None:
        folder = Path(out)
        files = {
            "cost.json": orjson.dumps(data, option=orjson.OPT_INDENT_2) + b"\n",
            "cost.csv": found.csv().encode(),
        }
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, content in files.items():
                (folder / name).write_bytes(content)
        except OSError as error:
            raise WorkspaceError(f"{folder} cannot be written: {error.strerror or error}") from None
        lines += [f"written: {folder / name}" for name in files]
        lines += [f"written: {name}" for name in degradation.save(economics.plots(found), folder, "cost-")]
    return lines
