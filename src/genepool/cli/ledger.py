"""``genepool ledger …``: the log of origins. One file per verb (``_ledger_*.py``), loaded when needed."""

from __future__ import annotations

import importlib

import click

from genepool.cli._ledger_place import nearby_workspace

__all__ = ["command", "nearby_workspace"]

# verb: (module of genepool.cli, attribute, what it does)
_VERBS = {
    "show": ("_ledger_show", "show", "name, size, root and key of the log, and what is in it"),
    "audit": ("_ledger_show", "audit", "re-hash and re-read everything; exit code 4 on any damage"),
    "prove": ("_ledger_show", "prove", "write a proof that an image stands in the log"),
    "checkpoint": ("_ledger_show", "checkpoint", "print the signed head, with cosignatures"),
    "lookup": (
        "_ledger_lookup",
        "lookup",
        "what the log says about an image, found by bytes, raster or looks",
    ),
    "withdraw": ("_ledger_lookup", "withdraw", "take attestations back and erase their details"),
    "key": ("_ledger_key", "key", "show, rotate, revoke, protect: your key"),
    "witness": ("_ledger_witness", "witness", "serve, submit: independent witnesses of the log"),
    "anchor": ("_ledger_witness", "anchor", "have the head stamped: RFC 3161, OpenTimestamps"),
    "export": ("_ledger_export", "command", "the log as Croissant, PROV, SPDX, CycloneDX, EU summary"),
}


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _VERBS:
            return None
        module, attribute, _ = _VERBS[cmd_name]
        found = getattr(importlib.import_module(f"genepool.cli.{module}"), attribute)
        assert isinstance(found, click.Command)  # noqa: S101  # every verb file defines one
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl([(name, text) for name, (_, _, text) in _VERBS.items()])


@click.group("ledger", cls=_Lazy)
def command() -> None:
    """The log of origins: append-only, signed, in the C2SP tlog-tiles format."""
