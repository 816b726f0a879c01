"""The `genepool` command: finds a verb's file when it is needed, prints errors, sets exit codes."""

from __future__ import annotations

import importlib
import os
import sys
from typing import NoReturn

import click

from genepool._version import __version__
from genepool.errors import GenepoolError

# One line per verb, so that --help imports none of them.
VERBS = {
    "check": "judge a dataset: origins, human ratio, generations, diversity, rights",
    "demo": "make a gallery of real and generated pictures, check it, clean it, check it again",
    "lab": "train small models on each other's pictures and measure what is lost",
    "init": "write a commented genepool.toml",
    "scan": "read every image once into the workspace",
    "verify": "compare a dataset's origins with the log",
    "register": "attest a folder of human work, a model, or a model's outputs",
    "lineage": "the pedigree of a set or a model: generations, inbreeding, retention, with a picture",
    "inject": "raise the style diversity of a set: retrieve, thin out, make",
    "compose": "choose how much to take of several pools, and what each constraint costs",
    "detect": "one line per image: the pixel judge's opinion",
    "calibrate": "what a detector is worth, measured on images whose origin is known",
    "diversity": "the style diversity index, what is rare or missing, what of a reference is lost",
    "panel": "make a reference panel of one's own for the index",
    "degradation": "what each generation of a model has lost, and what the next ones will lose",
    "cost": "what ways to feed a model cost, and what they are worth",
    "review": "people judge images: in a browser, or on contact sheets",
    "gate": "apply a policy to what is already scanned",
    "compare": "rank several datasets in one table",
    "export": "write the approved subset",
    "report": "write the report again from the workspace",
    "ledger": "show, audit, prove, look up, witness, anchor, export: the log of origins",
    "trace": "the sets, models and certificates that an image or a model reached",
    "hook": "what pre-commit runs: new images carry provenance, policies can be read",
    "explain": "why a rule or an error exists",
    "doctor": "what is installed, what is missing, is the workspace sound",
    "plugins": "list detectors, embedders, sources, engines",
    "completion": "the script that completes verbs, options and codes in bash, zsh or fish",
}


class _Verbs(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command = importlib.import_module(f"genepool.cli.{cmd_name}").command
        assert isinstance(command, click.Command)  # noqa: S101  # every verb file defines one
        return command

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # The reader went away (`| head`): no error of ours, and click would answer 1, "the data failed".
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib

            near = difflib.get_close_matches(args[0], VERBS, n=1)
            if near:
                raise click.UsageError(f"{error.message} Did you mean `genepool {near[0]}`?", ctx) from None
            raise


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="genepool")
def cli() -> None:
    """Keep image models from artistic inbreeding.

    genepool check PATH is the one verb to learn. Exit codes: 0 pass, 1 the data failed the policy,
    2 wrong usage, 3 could not finish, 4 integrity, 5 undecided.
    """


def main(argv: list[str] | None = None) -> NoReturn:
    """Run the command line and exit.

    Exit codes: 0 pass, 1 the data failed the policy, 2 wrong usage or configuration, 3 could not finish,
    4 integrity, 5 undecided.
    """
    try:
        result = cli.main(args=argv, prog_name="genepool", standalone_mode=False)
        sys.stdout.flush()
        _publish()
        sys.exit(result if isinstance(result, int) else 0)
    except click.exceptions.Abort:
        click.echo("stopped", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except GenepoolError as error:
        click.echo(f"{error.code} {error.message}", err=True)
        # Every message ends in something to do; the explanation of the code where the error knows no better.
        click.echo(f"  → {error.hint or f'genepool explain {error.code}'}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader of our output went away (`| head`): not an error of ours.
        sys.stderr.close()
        sys.exit(0)
    except MemoryError:
        click.echo("GP010 out of memory\n  → use fewer workers: --workers 1", err=True)
        sys.exit(3)
    except OSError as error:
        click.echo(f"GP010 {error.strerror or error}: {error.filename or ''}".rstrip(": "), err=True)
        click.echo("  → genepool explain GP010", err=True)
        sys.exit(3)


def _publish() -> None:
    """Let what the verb changed in workspaces of object stores reach them; most verbs open none."""
    if "genepool.store" in sys.modules:
        from genepool.store import publish_opened

        publish_opened()
