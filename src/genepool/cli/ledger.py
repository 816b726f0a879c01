"""``genepool ledger show|audit|prove``: the log of origins."""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genepool.cli._ledger_export import command as _export
from genepool.cli._options import config_option, emit_json, format_option, settings, workspace_option
from genepool.errors import UsageError, WorkspaceError

if TYPE_CHECKING:
    from genepool.config import Config
    from genepool.provenance import Ledger, LogState


@click.group("ledger")
def command() -> None:
    """The log of origins: append-only, signed, in the C2SP tlog-tiles format."""


command.add_command(_export)


@command.command("show")
@format_option
@config_option
@workspace_option
def show(output: str, config_file: str | None, workspace: str | None) -> int:
    """Print the log's name, size, root hash and verifier key, and what is in it."""
    from genepool import provenance

    ledger = _ledger(workspace, settings(config_file))
    state = provenance.read_log(ledger)
    facts = {**_head(ledger), **_content(state)}
    if output == "json":
        emit_json({"schema": "genepool.ledger/1", **facts})
        return 0
    click.echo(f"origin  {ledger.origin}")
    click.echo(f"size    {ledger.size:,}")
    click.echo(f"root    {ledger.root.hex()}")
    click.echo(f"vkey    {ledger.verifier.vkey}")
    click.echo(f"path    {ledger.path}")
    for name, value in _content(state).items():
        text = (
            ", ".join(f"{n:,} {word}" for word, n in value.items()) if isinstance(value, dict) else str(value)
        )
        click.echo(f"{name:<7} {text or 'none'}")
    return 0


@command.command("audit")
@format_option
@config_option
@workspace_option
def audit(output: str, config_file: str | None, workspace: str | None) -> int:
    """Re-hash every entry and tile, read every entry, check every signature. Exit code 4 on any damage."""
    from genepool import provenance

    started = time.perf_counter()
    ledger = _ledger(workspace, settings(config_file))
    provenance.check_head(ledger)
    state = provenance.read_log(ledger)
    details = len(provenance.Sidecar(ledger.path.parent).load())
    seconds = time.perf_counter() - started
    if output == "json":
        emit_json(
            {
                "schema": "genepool.audit/1",
                "sound": True,
                **_head(ledger),
                "seals": len(state.batches),
                "details": details,
                "problems": list(state.problems),
                "seconds": seconds,
            }
        )
        return 0
    click.echo(
        f"The log is sound: {state.size:,} entries hash to the signed root {state.root.hex()[:16]}…, "
        f"{len(state.batches):,} seals and {details:,} details verify ({seconds:.1f} s)."
    )
    for problem in state.problems:
        click.echo(f"  note: {problem}")
    return 0


@command.command("prove")
@click.argument("image")
@click.option("-o", "--output-file", "target", required=True, metavar="FILE", help="Proof file to write.")
@format_option
@config_option
@workspace_option
def prove(image: str, target: str, output: str, config_file: str | None, workspace: str | None) -> int:
    """Write a proof that IMAGE stands in the log (C2SP tlog-proof); it is verified before it is written."""
    from genepool import provenance
    from genepool.errors import LogError

    config = settings(config_file)
    digest, where = _digest(image)
    ledger = _ledger(workspace or str(where), config)
    state = provenance.read_log(ledger)
    index = provenance.find_entry(state, digest)
    if index is None:
        raise UsageError(
            f"{image}: not in the log of {ledger.path} (SHA-256 {digest.hex()})",
            hint="genepool check records every image of a set",
        )
    proof = ledger.prove(index)
    data = proof.encode()
    try:
        Path(target).write_bytes(data)
        provenance.Proof.parse(Path(target).read_bytes()).verify(
            None, [ledger.verifier], origin=ledger.origin
        )
    except OSError as error:
        raise WorkspaceError(f"{target}: cannot be written: {error.strerror}") from None
    except LogError as error:
        raise LogError(f"{target}: {error.message}") from None
    facts = {"file": target, "index": index, "bytes": len(data), "entry": (proof.extra or b"").decode()}
    if output == "json":
        emit_json({"schema": "genepool.proof/1", **facts, **_head(ledger), "sha256": digest.hex()})
        return 0
    click.echo(f"{target}: entry {index:,} of {ledger.size:,}, {len(proof.hashes)} hashes, verified.")
    click.echo(f"  {facts['entry']}")
    click.echo(f"  Anyone can check it offline with the key {ledger.verifier.vkey}")
    return 0


# ------------------------------------------------------------------------------------------------ helpers


def _ledger(workspace: str | None, config: Config) -> Ledger:
    """The log of a workspace: the one named, the nearest to the current folder, or the only one in it."""
    from genepool import provenance

    place = Path(workspace) if workspace else nearby_workspace()
    folder = place if (place / "checkpoint").is_file() else place / "ledger"
    trust = provenance.load_trust(config, provenance.load_public(config))
    return provenance.Ledger.open(folder, verifiers=trust.verifiers)


def nearby_workspace() -> Path:
    """The workspace that is meant when nobody names one."""
    from genepool.provenance import nearest_workspace

    here = Path.cwd()
    if here.suffix == ".genepool":
        return here
    found = sorted(path for path in here.glob("*.genepool") if (path / "ledger").is_dir())
    if len(found) == 1:
        return found[0]
    for other in (os.environ.get("GENEPOOL_WORKSPACE"), nearest_workspace(here)):
        if not found and other and Path(other, "ledger").is_dir():
            return Path(other)
    raise UsageError(
        f"ledger: expected one workspace with a log in {here}, found {len(found)}",
        hint="name it: --workspace DATASET.genepool",
    )


def _digest(image: str) -> tuple[bytes, Path]:
    """SHA-256 of a file, and the workspace that it most likely belongs to."""
    import hashlib

    from genepool.provenance import nearest_workspace

    try:
        with Path(image).open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest(), nearest_workspace(
                Path(image).absolute().parent
            )
    except OSError as error:
        raise UsageError(f"{image}: cannot be read: {error.strerror}") from None


def _head(ledger: Ledger) -> dict[str, Any]:
    return {
        "origin": ledger.origin,
        "size": ledger.size,
        "root": ledger.root.hex(),
        "vkey": ledger.verifier.vkey,
        "path": str(ledger.path),
    }


def _content(state: LogState) -> dict[str, Any]:
    from genepool.provenance import CLASSES

    claims = state.claims
    attested = Counter(CLASSES[code] for code in claims.origin[claims.attested].tolist())
    recorded = Counter(CLASSES[code] for code in claims.origin[claims.role == 1].tolist())
    return {
        "claims": dict(attested),
        "checked": dict(recorded),
        "sets": {
            "datasets": len(state.datasets),
            "decisions": len(state.decisions),
            "models": len(state.models),
        },
        "seals": dict(Counter(batch.key.id for batch in state.batches)),
    }
