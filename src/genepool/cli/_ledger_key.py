"""``genepool ledger key show|rotate|revoke|protect``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from genepool.cli._ledger_place import nearby_workspace
from genepool.cli._options import config_option, emit_json, format_option, settings, workspace_option
from genepool.errors import UsageError

if TYPE_CHECKING:
    from genepool.provenance import OwnKey


@click.group("key")
def key() -> None:
    """Your key: it signs what you attest and the heads of your logs."""


@key.command("show")
@format_option
@config_option
def show(output: str, config_file: str | None) -> int:
    """Print your public keys; whoever checks your certificates needs the first one."""
    from genepool import provenance

    found = provenance.load_public(settings(config_file))
    if output == "json":
        emit_json({"schema": "genepool.key/1", "keys": [{"id": v.id, "vkey": v.vkey} for v in found]})
        return 0
    if not found:
        click.echo("No key yet; genepool register or genepool check makes one.")
        return 0
    click.echo(f"key     {found[0].id}")
    click.echo(f"vkey    {found[0].vkey}")
    for older in found[1:]:
        click.echo(f"before  {older.vkey}")
    return 0


@key.command("rotate")
@format_option
@config_option
@workspace_option
def rotate(output: str, config_file: str | None, workspace: str | None) -> int:
    """Replace your key by a fresh one. The workspace's log goes over to it now, others when next written."""
    from genepool import provenance, store

    config = settings(config_file)
    place = workspace or _nearby()
    own = provenance.rotate_key(config)
    moved = ""
    if place is not None and ("://" in str(place) or Path(place, "ledger", "checkpoint").is_file()):
        moved = str(provenance.take_over(store.Workspace(place), config) or "")
    if output == "json":
        facts = {"id": own.signer.verifier.id, "vkey": own.signer.verifier.vkey, "place": own.place}
        emit_json({"schema": "genepool.key/1", **facts, "log": moved})
        return 0
    click.echo(f"Your key is now {own.signer.verifier.id}")
    click.echo(f"  It lies in {own.place}; the one before is kept beside it.")
    if moved:
        click.echo(f"  Log {moved} goes on under it; the old key signed that.")
    click.echo("  Your other logs go over to it when they are next written.")
    click.echo(f"Tell those who trust you: {own.signer.verifier.vkey}")
    return 0


@key.command("revoke")
@click.argument("vkey")
@click.option(
    "--since", type=click.IntRange(min=0), metavar="INDEX", help="Nothing sealed from that leaf on counts."
)
@format_option
@config_option
@workspace_option
def revoke(vkey: str, since: int | None, output: str, config_file: str | None, workspace: str | None) -> int:
    """Revoke an attestor's key (its vkey text) in the workspace's log, from now on or from an index on."""
    from genepool import provenance, store

    place = workspace or nearby_workspace()
    index = provenance.revoke_key(store.Workspace(place), vkey, since=since, config=settings(config_file))
    if output == "json":
        emit_json({"schema": "genepool.revocation/1", "index": index, "since": since, "vkey": vkey})
        return 0
    reach = "from now on" if since is None else f"sealed at entry {since:,} or later"
    click.echo(f"Revoked by entry {index:,}: nothing that {vkey.rpartition('+')[0]} {reach} counts as human.")
    click.echo("Other readers of that key need `revoked = true` beside it in their trust.toml.")
    return 0


@key.command("protect")
@click.option("--remove", is_flag=True, help="Take the passphrase away.")
@config_option
def protect(remove: bool, config_file: str | None) -> int:
    """Guard your key file by a passphrase: $GENEPOOL_NEW_PASSPHRASE, or asked for."""
    from genepool import provenance

    phrase = ""
    if not remove:
        phrase = os.environ.get("GENEPOOL_NEW_PASSPHRASE", "")
        phrase = phrase or click.prompt("New passphrase", hide_input=True, confirmation_prompt=True, err=True)
    own: OwnKey = provenance.change_passphrase(phrase, settings(config_file))
    state = "protected by a passphrase" if own.protected else "not protected"
    click.echo(f"{own.place}: {state}.")
    return 0


def _nearby() -> Path | None:
    try:
        return nearby_workspace()
    except UsageError:
        return None
