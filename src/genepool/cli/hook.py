"""``genepool hook``: what pre-commit runs on the files of a commit."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from genepool.cli._options import config_option, emit_json, format_option, settings, workspace_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from genepool.config import Config
    from genepool.origin import Carried
    from genepool.provenance import Lookup

__all__ = ["command"]

CODE = "GP202"


@click.group("hook")
def command() -> None:
    """Checks of single files, for pre-commit and other hooks."""


@command.command("provenance")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--require",
    type=click.Choice(["declared", "attested"]),
    default="declared",
    show_default=True,
    help="declared: anything that says what made it; attested: a trusted signature or log entry.",
)
@click.option(
    "--root", type=click.Path(path_type=Path), default=None, metavar="DIR", help="Where sidecars begin."
)
@format_option
@config_option
@workspace_option
def provenance(
    files: tuple[Path, ...],
    require: str,
    root: Path | None,
    output: str,
    config_file: str | None,
    workspace: str | None,
) -> int:
    """Every one of FILES must carry provenance: a log entry, a C2PA manifest, metadata, or a sidecar.

    Ends with 0 where all do, with 1 where one does not. Nothing is written.
    """
    from genepool import origin

    config = settings(config_file)
    base = (root or Path.cwd()).absolute()
    logs = _logs(files, workspace, config) if files else []
    asked: Literal["declared", "attested"] = "attested" if require == "attested" else "declared"
    found = origin.carried(files, base, logs=logs, require=asked, config=config)
    _print(found, output, asked)
    return 0 if all(one.ok for one in found) else 1


def _print(found: Sequence[Carried], output: str, asked: str) -> None:
    if output == "json":
        rows = [{"path": one.path, "ok": one.ok, "how": one.how, "detail": one.detail} for one in found]
        emit_json({"schema": "genepool.carried/1", "files": rows})
        return
    from genepool.cli.check import _escape as escape

    wrong = [one for one in found if not one.ok]
    for one in wrong:
        if output == "github":
            place = f"file={escape(one.path, True)},title={CODE}"
            click.echo(f"::error {place}::{escape(one.detail)}")
        else:
            click.echo(f"{CODE} {one.path}: {one.detail}")
    if wrong and output == "text":
        first = Path(wrong[0].path)
        folder = shlex.quote(str(first.parent))
        line = json.dumps({"file": first.name, "origin": "human_made"}, ensure_ascii=False)
        # A line beside a picture is nobody's signature: where one is asked for it would not help.
        other = (
            f"genepool register outputs {folder} --model NAME   (what a model of yours made)"
            if asked == "attested"
            else f"a line in {first.parent / 'genepool.jsonl'}: {line}"
        )
        click.echo(
            f"  → genepool register human {folder}   (your own work, into the log)\n"
            f"  → or {other}\n"
            f"  why: genepool explain {CODE}"
        )


@command.command("policy")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
def policy(files: tuple[Path, ...]) -> int:
    """Every one of FILES must be a configuration that genepool understands, plug-ins included.

    Ends with 0 where all are, with 2 at the first that is not.
    """
    from genepool import config, evidence, gate

    for file in files:
        found = config.load(file)
        gate.open_rules(found.policy.rules)
        evidence.open_readers(found.evidence.readers)
        click.echo(f"{file}: sound")
    return 0


def _logs(files: Sequence[Path], workspace: str | None, config: Config) -> list[Lookup]:
    """The logs of the workspaces that these files lie near, and those that the configuration names."""
    from genepool import provenance as room
    from genepool.cli._ledger_place import trust_of

    trust = trust_of(config)
    if workspace:
        near = [Path(workspace)]
    else:
        near = sorted({room.nearest_workspace(file.absolute().parent) for file in files})
    places = [str(place / "ledger") for place in near if (place / "ledger" / "checkpoint").is_file()]
    return [
        room.Lookup(room.Ledger.open(place, verifiers=trust.verifiers), trust)
        for place in dict.fromkeys((*places, *config.ledger.logs))
    ]
