"""``genepool register human|model|outputs``: put what you know about images into the log."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from genepool.cli._options import (
    config_option,
    emit_json,
    format_option,
    settings,
    workers_option,
    workspace_option,
)
from genepool.errors import UsageError

if TYPE_CHECKING:
    from genepool.config import Config
    from genepool.provenance import Registration, SignedOutputs
    from genepool.store import Catalogue, Workspace

_SHOWN = 5


@click.group("register")
def command() -> None:
    """Attest a folder of human work, a model, or a model's outputs.

    Attestations are signed with your key, which is made on first use, and appended to the log of the set that
    the folder belongs to.
    """


@command.command("human")
@click.argument("folder")
@click.option("--cohort", metavar="NAME", help="Name of the collection (default: the folder's).")
@click.option("--artist", metavar="NAME", help="Who made all of these images; kept erasable, beside the log.")
@click.option("--captured", is_flag=True, help="Photographs or scans, rather than drawn or painted.")
@workers_option
@format_option
@config_option
@workspace_option
def human(
    folder: str,
    cohort: str | None,
    artist: str | None,
    captured: bool,
    workers: int | None,
    output: str,
    config_file: str | None,
    workspace: str | None,
) -> int:
    """Attest that every image in FOLDER is human work."""
    from genepool import provenance

    config = settings(config_file, workers)
    catalogue, place = _scanned(folder, workspace, config)
    origin: Literal["human_made", "captured"] = "captured" if captured else "human_made"
    done = provenance.register_human(
        catalogue, place, cohort=cohort, artist=artist, origin=origin, config=config
    )
    words = "captured by a person" if captured else "made by a person"
    _say(
        done,
        output,
        f"{done.n:,} images attested as {words}, cohort {done.name!r}",
        _check_hint(folder, place),
    )
    return 0


@command.command("outputs")
@click.argument("folder")
@click.option("--model", required=True, metavar="NAME", help="The registered model that made them.")
@click.option("--cohort", metavar="NAME", help="Name of the collection (default: the folder's).")
@click.option(
    "--c2pa",
    is_flag=True,
    help="First sign each file with a C2PA manifest (in place: same pixels, new bytes), then register it.",
)
@click.option("--out", metavar="DIR", help="With --c2pa: sign copies in this new folder instead.")
@click.option("--cert", metavar="PEM", help="With --c2pa: your certificate chain (default: a self-made one).")
@click.option("--key", metavar="PEM", help="With --c2pa: its private key.")
@click.option(
    "--parents",
    multiple=True,
    metavar="FOLDER",
    help="With --c2pa: where images lie that the sidecar names as parents by digest; repeatable.",
)
@workers_option
@format_option
@config_option
@workspace_option
def outputs(
    folder: str,
    model: str,
    cohort: str | None,
    c2pa: bool,
    out: str | None,
    cert: str | None,
    key: str | None,
    parents: tuple[str, ...],
    workers: int | None,
    output: str,
    config_file: str | None,
    workspace: str | None,
) -> int:
    """Attest that every image in FOLDER was made by a registered model; the generation is computed."""
    from genepool import provenance

    config = settings(config_file, workers)
    if not c2pa and (out or cert or key or parents):
        raise UsageError("--out, --cert, --key and --parents belong to --c2pa", hint="add --c2pa")
    catalogue, place = _scanned(folder, workspace, config)
    linked = _link_model(model, folder, place, config)
    signed = None
    if c2pa:
        inputs = [_scanned(one, str(place.root), config)[0] for one in parents]
        signed = provenance.sign_outputs(
            catalogue, place, model=model, out=out, inputs=inputs, cert=cert, key=key, config=config
        )
        folder = out or folder
        catalogue, _ = _scanned(folder, str(place.root), config)
    done = provenance.register_outputs(catalogue, place, model=model, cohort=cohort, config=config)
    said = f"{done.n:,} images attested as made by {model}, {_generation(done)}, cohort {done.name!r}"
    if output == "json":
        more = {} if signed is None else {"c2pa": signed.to_json()}
        emit_json({"schema": "genepool.registration/1", **done.to_json(), **more})
        return 0
    if linked:
        click.echo(linked)
    if signed is not None:
        click.echo("\n".join(_signed_lines(signed)))
    _say(done, output, said, _check_hint(folder, place))
    return 0


@command.command("model")
@click.argument("name")
@click.option(
    "--trained-on",
    "trained_on",
    multiple=True,
    metavar="WHAT[=SHARE]",
    help="A cohort, a registered folder, a model, a dataset's root, or `unknown`; repeat for a mixture.",
)
@click.option("--base", metavar="MODEL", help="The model that it was fine-tuned from.")
@workers_option
@format_option
@config_option
@workspace_option
def model(
    name: str,
    trained_on: tuple[str, ...],
    base: str | None,
    workers: int | None,
    output: str,
    config_file: str | None,
    workspace: str | None,
) -> int:
    """Record what the model NAME was trained on."""
    from genepool import provenance, store

    config = settings(config_file, workers)
    parts = [_part(text) for text in trained_on]
    place = (
        store.Workspace(workspace).create()
        if workspace
        else _model_workspace([ref for ref, _ in parts], config)
    )
    resolved = [(_cohort_of(ref, place, config), share) for ref, share in parts]
    done = provenance.register_model(place, name, resolved, base, config)
    said = f"model {name!r} registered: its outputs are {_generation(done)}"
    again = f" --workspace {shlex.quote(place.where)}"
    _say(done, output, said, f"genepool register outputs FOLDER --model {shlex.quote(name)}{again}")
    return 0


# ------------------------------------------------------------------------------------------------ helpers


def _scanned(folder: str, workspace: str | None, config: Config) -> tuple[Catalogue, Workspace]:
    """Scan a folder into the workspace where its attestations belong."""
    from genepool import dataset, provenance, scan, store
    from genepool.cli._progress import progress

    where: str | Path | None = workspace
    if where is None and "://" not in folder:
        where = provenance.nearest_workspace(folder)
        if not where.is_dir():
            where = os.environ.get("GENEPOOL_WORKSPACE") or where
    opened = dataset.open(folder, workspace=None if where is None else str(where))
    place = store.workspace_for(opened, where)
    with progress() as report:
        return scan.scan(opened, place, config=config, progress=report), place


def _part(text: str) -> tuple[str, float | None]:
    """``NAME`` or ``NAME=SHARE``; a name may itself hold ``=`` when no number follows the last one."""
    name, equals, share = text.rpartition("=")
    if equals and name:
        try:
            return name, float(share)
        except ValueError:
            pass
    return text, None


def _model_workspace(refs: list[str], config: Config) -> Workspace:
    """Where a model is recorded when nobody says: with the first part that is registered nearby.

    Logs of the other parts are linked, so that the model's ancestry stays readable from there.
    """
    from genepool import provenance, store

    here = Path.cwd()
    folders = [provenance.nearest_workspace(ref) for ref in refs if Path(ref).is_dir()]
    names = [ref for ref in refs if not Path(ref).is_dir()]
    logs = [log for ref in names if (log := _log_that_knows(ref, here, config)) is not None]
    places = [*folders, *(log.parent for log in logs)] or sorted(here.glob("*.genepool"))
    for other in (os.environ.get("GENEPOOL_WORKSPACE"), provenance.nearest_workspace(here)):
        if not places and other and Path(other).is_dir():
            places = [Path(other)]
    if not places or (len(places) > 1 and not folders and not logs):
        raise UsageError(
            f"register model: expected one workspace in {here}, found {len(places)}",
            hint="name it: --workspace DATASET.genepool",
        )
    place = store.Workspace(places[0]).create()
    for other in places[1:]:
        if other.resolve() != place.root.resolve():
            place.link(other / "ledger")
    return place


def _log_that_knows(name: str, near: Path, config: Config) -> Path | None:
    """The first log near a folder in which a cohort, a model or a dataset root is registered."""
    from genepool import provenance

    for log in provenance.logs_near(near):
        trail = provenance.read_trail([log], config)
        roots = {root for cohort in trail.cohorts.values() for root in cohort.roots}
        if name in trail.cohorts or name in trail.models or name in roots:
            return log
    return None


def _link_model(name: str, folder: str, place: Workspace, config: Config) -> str:
    """Link the log that knows the model, if the workspace does not read it yet; says so."""
    from genepool import provenance

    if name in provenance.open_trail(place, config, dataset=str(Path(folder).absolute())).models:
        return ""
    for near in (Path(folder), Path.cwd()):
        log = _log_that_knows(name, near, config)
        if log is not None:
            place.link(log)
            return (
                f"Model {name!r} is registered in {_short(log)}; this workspace reads that log from now on."
            )
    return ""


def _cohort_of(ref: str, place: Workspace, config: Config) -> str:
    """A registered folder's cohort, found by the root over its images; anything else as it is."""
    from genepool import dataset, provenance, scan

    if not Path(ref).is_dir():
        return ref
    trail = provenance.open_trail(place, config, dataset=str(Path(ref).absolute()))
    if ref in trail.cohorts:
        return ref
    opened = dataset.open(ref, workspace=str(place.root))
    root = scan.scan(opened, place, config=config).root().hex()
    for cohort in trail.cohorts.values():
        if root in cohort.roots:
            return cohort.name
    raise UsageError(
        f"trained on {ref!r}: expected a folder that is registered as it is now, found one that is not",
        hint=f"genepool register human {shlex.quote(ref)}",
    )


def _generation(done: Registration) -> str:
    lo, hi = done.generation
    if hi is None:
        return f"generation {lo} or more"
    return f"generation {lo}" if lo == hi else f"generation {lo} to {hi}"


def _check_hint(folder: str, place: Workspace) -> str:
    """The set whose workspace was written, checked next."""
    beside = place.root.with_suffix("")
    if place.root.suffix == ".genepool" and beside.is_dir():
        return f"genepool check {shlex.quote(_short(beside))}"
    return f"genepool check {shlex.quote(folder)} --workspace {shlex.quote(_short(place.root))}"


def _signed_lines(signed: SignedOutputs) -> list[str]:
    """What was signed, by whom, who will believe it, and what was left out."""
    where = _short(Path(signed.folder))
    lines = [f"{signed.n:,} files signed with C2PA manifests by {signed.signer!r} in {where}."]
    if signed.already:
        lines.append(f"  {signed.already:,} carried this very statement before.")
    if signed.created:
        lines.append(
            f"  A certificate was made for you; its key lies in {signed.key_place}, readable by you alone."
        )
    if signed.authority:
        lines.append(
            "  It is self-made: strangers see these signatures as untrusted, until they choose to trust"
        )
        lines.append(
            f"  {signed.authority} (evidence.trust_anchors). For one that they know: --cert and --key."
        )
    lines += [f"  not signed: {case.uri}: {case.message}" for case in signed.cases[:_SHOWN]]
    if len(signed.cases) > _SHOWN:
        lines.append(f"  … and {len(signed.cases) - _SHOWN:,} more were not signed")
    lines += [f"  {note}." for note in signed.notes]
    return lines


def _short(path: Path) -> str:
    """Relative to the current folder where that is shorter."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _say(done: Registration, output: str, said: str, then: str) -> None:
    if output == "json":
        emit_json({"schema": "genepool.registration/1", **done.to_json()})
        return
    lines: list[str] = []
    if done.key_created:
        lines += [
            f"A key was made for you: {done.key}",
            f"  It lies in {done.key_place}; only you can read it. Keep a copy of it.",
        ]
    lines.append(f"{said}.")
    if done.origin and done.known:
        lines.append(f"  {done.known:,} of them were attested before; {done.new:,} entries are new.")
    if done.set_aside:
        lines.append(f"  {done.set_aside:,} files could not be read and are not attested.")
    lines += [f"  {note}." for note in done.notes]
    lines.append(f"  Signed by {done.key}; log {_short(Path(done.ledger))}, {done.size:,} entries.")
    lines.append(f"Next: {then}")
    click.echo("\n".join(lines))
