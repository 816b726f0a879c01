"""``genepool completion SHELL``: the lines that let a shell complete verbs, options and rule codes."""

from __future__ import annotations

import click

__all__ = ["command"]

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_GENEPOOL_COMPLETE"  # how click's scripts ask `genepool` for completions


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
def command(shell: str) -> int:
    """Print the script that completes verbs, options and rule codes in SHELL.

    bash and zsh: add the line  eval "$(genepool completion SHELL)"  to ~/.bashrc or ~/.zshrc.
    fish: genepool completion fish > ~/.config/fish/completions/genepool.fish
    """
    from click.shell_completion import get_completion_class

    from genepool.cli._main import cli

    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101  # click knows the three of SHELLS
    click.echo(kind(cli, {}, "genepool", VARIABLE).source())
    return 0
