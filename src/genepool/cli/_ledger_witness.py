"""``genepool ledger witness serve|submit`` and ``genepool ledger anchor``."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

from genepool.cli._ledger_place import open_ledger
from genepool.cli._options import config_option, emit_json, format_option, settings, workspace_option
from genepool.errors import ConfigError, IntegrityError, UsageError

if TYPE_CHECKING:
    from types import FrameType

    from genepool.config import Config
    from genepool.provenance import Ledger, LogPolicy, Verifier


@click.group("witness")
def witness() -> None:
    """Witnesses cosign the log's head only if it extends what they cosigned before (C2SP tlog-witness)."""


@witness.command("serve")
@click.option("--log", "logs", multiple=True, metavar="VKEY", help="A log that is witnessed; repeat.")
@click.option("--policy", "policy_file", metavar="FILE", help="Or: every log of this tlog-policy file.")
@click.option("--key", "key_file", required=True, metavar="FILE", help="The witness's own private key file.")
@click.option("--state", required=True, metavar="FILE", help="Where the latest heads are kept (SQLite).")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to answer on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8418, show_default=True, help="Its port.")
def serve(
    logs: tuple[str, ...], policy_file: str | None, key_file: str, state: str, host: str, port: int
) -> int:
    """Answer add-checkpoint requests until stopped. The key is made when its file is missing."""
    from genepool import provenance

    keys = [provenance.Verifier.parse(text) for text in logs]
    if policy_file:
        keys += [key for key, _ in provenance.load_policy(policy_file).logs]
    if not keys:
        raise UsageError("witness serve: expected at least one log", hint="--log VKEY, or --policy FILE")
    known: dict[str, tuple[Verifier, ...]] = {}
    for key in keys:
        known[key.name] = (*known.get(key.name, ()), key)
    signer = provenance.witness_key(key_file)
    running = provenance.Witness(state, signer, known)
    server = provenance.serve_witness(running, host, port, say=lambda text: click.echo(text, err=True))
    bound, number = server.server_address[:2]
    address = bound.decode() if isinstance(bound, bytes) else str(bound)
    click.echo(f"vkey    {running.key.vkey}")
    click.echo(f"policy  witness NAME {running.key.vkey} http://{address}:{number}")
    stop = threading.Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, end)
    stop.wait()
    server.shutdown()
    server.server_close()
    return 0


@witness.command("submit")
@click.option("--policy", "policy_file", required=True, metavar="FILE", help="tlog-policy with witness URLs.")
@click.option("--only", multiple=True, metavar="NAME", help="Only this witness of the policy; repeat.")
@format_option
@config_option
@workspace_option
def submit(
    policy_file: str, only: tuple[str, ...], output: str, config_file: str | None, workspace: str | None
) -> int:
    """Ask the policy's witnesses to cosign the log's head; the certificate is brought up to date."""
    from genepool import provenance

    config = settings(config_file)
    ledger = open_ledger(workspace, config)
    policy = provenance.load_policy(policy_file)
    provenance.check_head(ledger)
    head, failed = provenance.submit_head(ledger, policy, only=only)
    certificate = _refresh(ledger, config)
    reached = _reached(head.cosigned or head.checkpoint, policy)
    if output == "json":
        facts = {**head.to_json(), "failed": failed, "quorum": reached, "certificate": certificate}
        emit_json({"schema": "genepool.cosigned/1", **facts})
    else:
        names = ", ".join(head.to_json()["cosigned_by"])
        click.echo(f"size {head.size:,}: cosigned by {names or 'nobody'}")
        for name, why in failed.items():
            click.echo(f"  {name} did not: {why}")
        click.echo(f"  quorum {policy.quorum}: {'reached' if reached else 'not reached'}")
        if certificate:
            click.echo(f"  {certificate} holds the cosignatures now.")
    return 0 if reached else 3


@click.command("anchor")
@click.option("--tsa", metavar="URL", default="", help="RFC 3161 authority that stamps the head.")
@click.option("--roots", metavar="PEM", help="Certificates that a token must verify against.")
@click.option(
    "--calendar", "calendars", multiple=True, metavar="URL", help="OpenTimestamps calendar; repeat."
)
@click.option(
    "--upgrade", is_flag=True, help="Ask the calendars whether a Bitcoin block holds the proofs now."
)
@click.option("--verify", "check", is_flag=True, help="Verify every stored anchor offline.")
@click.option("--headers", metavar="FILE", help="Bitcoin block headers, a line each: height and hex.")
@click.option("--policy", "policy_file", metavar="FILE", help="tlog-policy, to verify cosignatures with.")
@format_option
@config_option
@workspace_option
def anchor(
    tsa: str,
    roots: str | None,
    calendars: tuple[str, ...],
    upgrade: bool,
    check: bool,
    headers: str | None,
    policy_file: str | None,
    output: str,
    config_file: str | None,
    workspace: str | None,
) -> int:
    """Have the log's head stamped by others, or verify the stamps. Only its SHA-256 leaves the machine."""
    from genepool import provenance
    from genepool.cli.verify import read_headers

    config = settings(config_file)
    if not (tsa or calendars or upgrade or check):
        raise UsageError("anchor: expected --tsa URL, --calendar URL, --upgrade or --verify")
    ledger = open_ledger(workspace, config)
    pem = _read(roots) if roots else b""
    said: list[str] = []
    if tsa or calendars:
        provenance.anchor_head(ledger, tsa=tsa, roots=pem, calendars=calendars, say=said.append)
    if upgrade:
        for head, done in provenance.upgrade_anchors(ledger):
            said.append(f"size {head.size:,}: {'in a Bitcoin block' if done else 'still pending'}")
    if check:
        said += provenance.verify_anchors(
            ledger,
            roots=pem,
            headers=read_headers(headers) if headers else None,
            policy=provenance.load_policy(policy_file) if policy_file else None,
        )
    certificate = _refresh(ledger, config) if tsa or calendars or upgrade else ""
    if output == "json":
        heads = [head.to_json() for head in provenance.Anchors(ledger).heads()]
        emit_json({"schema": "genepool.anchors/1", "said": said, "heads": heads, "certificate": certificate})
        return 0
    for sentence in said or ["nothing is anchored yet"]:
        click.echo(sentence)
    if certificate:
        click.echo(f"{certificate} holds it now.")
    return 0


def _refresh(ledger: Ledger, config: Config) -> str:
    """The certificate's path, if there is one and it says more now."""
    from genepool import provenance, store

    path = provenance.refresh_certificate(store.Workspace(Path(ledger.path).parent), config)
    return str(path) if path else ""


def _reached(note: bytes, policy: LogPolicy) -> bool:
    try:
        policy.require(note)
    except IntegrityError:
        return False
    return True


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
