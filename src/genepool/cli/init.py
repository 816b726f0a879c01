"""``genepool init``: a commented configuration with every default."""

from __future__ import annotations

import dataclasses
import typing
from pathlib import Path
from typing import Any, Literal

import click

HEADER = """\
# genepool's configuration: every key with its default. A key that you delete keeps its default; an unknown
# one is an error. Options of the command line go before this file.
"""


@click.command("init")
@click.argument("file", default="genepool.toml")
@click.option("--force", is_flag=True, help="Overwrite FILE if it exists.")
def command(file: str, force: bool) -> int:
    """Write a configuration with every key, its default and its meaning to FILE (default: genepool.toml)."""
    from genepool.errors import UsageError

    target = Path(file)
    try:
        with target.open("w" if force else "x", encoding="utf-8") as out:
            out.write(render())
    except FileExistsError:
        raise UsageError(
            f"{target}: expected no file there, found one",
            hint=f"genepool init --force {target} overwrites it",
        ) from None
    click.echo(f"Wrote {target}: every key with its default. Next: genepool check PATH")
    return 0


def render() -> str:
    """The text of a configuration file that says exactly what the defaults say."""
    from genepool import config

    kinds = {f.name: typing.get_type_hints(config.Config)[f.name] for f in dataclasses.fields(config.Config)}
    lines = [HEADER]
    table = ""
    for key, value, meaning in config.describe():
        *tables, name = key.split(".")
        here = ".".join(tables)
        if here != table:
            table = here
            lines.append(f"\n# {(kinds[here].__doc__ or '').strip()}\n[{here}]")
        owner = kinds[here] if here else config.Config
        lines.append(f"# {meaning}{_limits(owner, name)}\n{name} = {_toml(value)}")
    return "\n".join(lines) + "\n"


def _limits(owner: type, name: str) -> str:
    """Allowed words or the range, where there is one."""
    hint = typing.get_type_hints(owner)[name]
    if typing.get_origin(hint) is Literal:
        return f" ({', '.join(typing.get_args(hint))})"
    meta = next(f.metadata for f in dataclasses.fields(owner) if f.name == name)
    low, high = meta.get("low"), meta.get("high")
    if low is not None and high is not None and low != high:
        return f" ({low:g} to {high:g})"
    return f" (at least {low:g})" if low is not None and high is None else ""


def _toml(value: Any) -> str:
    """A TOML 1.0 literal of a default: number, string or array of strings."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:_}" if abs(value) >= 10_000 else str(value)
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(_toml(item) for item in value)}]"
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in text) + '"'
