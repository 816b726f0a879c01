"""``genepool ledger show|audit|prove|checkpoint``."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genepool.cli._ledger_place import digest_of, head_facts, open_ledger
from genepool.cli._options import config_option, emit_json, format_option, settings, workspace_option
from genepool.errors import UsageError, WorkspaceError

if TYPE_CHECKING:
    from genepool.provenance import LogState


@click.command("show")
@format_option
@config_option
@workspace_option
def show(output: str, config_file: str | None, workspace: str | None) -> int:
    """Print the log's name, size, root hash and verifier key, and what is in it."""
    from genepool import provenance

    ledger = open_ledger(workspace, settings(config_file))
    state = provenance.read_log(ledger)
    here = "://" not in ledger.where
    heads = [head.to_json() for head in provenance.Anchors(ledger).heads()] if here else []
    facts = {**head_facts(ledger), **_content(state), "anchors": heads}
    if output == "json":
        emit_json({"schema": "genepool.ledger/1", **facts})
        return 0
    click.echo(f"origin  {ledger.origin}")
    click.echo(f"size    {ledger.size:,}")
    click.echo(f"root    {ledger.root.hex()}")
    click.echo(f"vkey    {ledger.verifier.vkey}")
    click.echo(f"path    {ledger.where}")
    for name, value in _content(state).items():
        text = (
            ", ".join(f"{n:,} {word}" for word, n in value.items()) if isinstance(value, dict) else str(value)
        )
        click.echo(f"{name:<7} {text or 'none'}")
    for rotation in ledger.rotations:
        click.echo(f"rotated at {rotation.size:,} from {rotation.old.id}")
    for head in heads:
        click.echo(f"head    {head['size']:,}: {_vouchers(head)}")
    return 0


@click.command("audit")
@format_option
@config_option
@workspace_option
def audit(output: str, config_file: str | None, workspace: str | None) -> int:
    """Re-hash every entry and tile, read every entry, check every signature. Exit code 4 on any damage."""
    from genepool import provenance

    started = time.perf_counter()
    ledger = open_ledger(workspace, settings(config_file))
    provenance.check_head(ledger)
    state = provenance.read_log(ledger)
    # What lies beside a log stays at home: at a URL there is only the log.
    details = 0 if "://" in ledger.where else len(provenance.Sidecar(ledger.path.parent).load())
    seconds = time.perf_counter() - started
    if output == "json":
        emit_json(
            {
                "schema": "genepool.audit/1",
                "sound": True,
                **head_facts(ledger),
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


@click.command("prove")
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
    digest, where = digest_of(image)
    ledger = open_ledger(workspace or str(where), config)
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
        emit_json({"schema": "genepool.proof/1", **facts, **head_facts(ledger), "sha256": digest.hex()})
        return 0
    click.echo(f"{target}: entry {index:,} of {ledger.size:,}, {len(proof.hashes)} hashes, verified.")
    click.echo(f"  {facts['entry']}")
    click.echo(f"  Anyone can check it offline with the key {ledger.verifier.vkey}")
    return 0


@click.command("checkpoint")
@click.option("-o", "--output-file", "target", metavar="FILE", help="Write it there instead of printing it.")
@format_option
@config_option
@workspace_option
def checkpoint(target: str | None, output: str, config_file: str | None, workspace: str | None) -> int:
    """Print the log's signed head (C2SP tlog-checkpoint), with the cosignatures that it has."""
    from genepool import provenance

    ledger = open_ledger(workspace, settings(config_file))
    head = provenance.Anchors(ledger).current()
    note = head.cosigned or head.checkpoint
    if target:
        try:
            Path(target).write_bytes(note)
        except OSError as error:
            raise WorkspaceError(f"{target}: cannot be written: {error.strerror}") from None
    if output == "json":
        facts = {**head_facts(ledger), **head.to_json(), "note": note.decode()}
        emit_json({"schema": "genepool.checkpoint/1", **facts})
    elif target:
        click.echo(f"{target}: size {ledger.size:,}, {len(head.cosignatures)} cosignatures")
    else:
        click.echo(note.decode(), nl=False)
    return 0


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


def _vouchers(head: dict[str, Any]) -> str:
    """Who vouches for a stored head."""
    names = ", ".join(head["cosigned_by"])
    parts = [f"cosigned by {names}"] if names else []
    parts += ["RFC 3161 token"] if head["rfc3161"] else []
    parts += ["OpenTimestamps proof"] if head["opentimestamps"] else []
    return ", ".join(parts)
