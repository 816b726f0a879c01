"""Options that verbs share, and the configuration they add up to."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from genepool.config import Config

F = TypeVar("F", bound=Callable[..., Any])


def workspace_option(command: F) -> F:
    """``--workspace DIR``."""
    return click.option(
        "--workspace", metavar="DIR", default=None, help="Where results are kept (default: PATH.genepool)."
    )(command)


def config_option(command: F) -> F:
    """``--config FILE``."""
    return click.option(
        "--config", "config_file", metavar="FILE", default=None, help="genepool.toml to use."
    )(command)


def format_option(command: F) -> F:
    """``--format text|json|github``."""
    return click.option(
        "--format",
        "output",
        type=click.Choice(["text", "json", "github"]),
        default="text",
        show_default=True,
        help="How results are printed on stdout.",
    )(command)


def text_or_json_option(command: F) -> F:
    """``--format text|json``, where there is nothing to annotate."""
    return click.option(
        "--format",
        "output",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help="How results are printed on stdout.",
    )(command)


def workers_option(command: F) -> F:
    """``--workers N`` and ``--engine NAME``: how units are run.

    The engine is not handed to the verb: `settings` takes it from the call's context.
    """
    command = click.option(
        "--engine",
        metavar="NAME",
        default=None,
        expose_value=False,
        callback=_keep_engine,
        help="Who runs them: local, or ray, ray:ADDRESS for a cluster.",
    )(command)
    return click.option(
        "--workers",
        type=click.IntRange(min=0),
        default=None,
        metavar="N",
        help="Processes (0: one per core).",
    )(command)


_ENGINE = "genepool.engine"


def _keep_engine(context: click.Context, _parameter: click.Parameter, name: str | None) -> None:
    if name is not None:
        context.meta[_ENGINE] = name


def complete_codes(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Shell completion of rule and error codes, each with its name."""
    from click.shell_completion import CompletionItem

    from genepool.report import explanations

    return [
        CompletionItem(code, help=entry.name)
        for code, entry in explanations().items()
        if code.startswith(begun.upper())
    ]


def settings(config_file: str | None, workers: int | None = None, **changes: Any) -> Config:
    """The configuration of this call: the file, then the options that were given (None: not given)."""
    from genepool.config import load

    if workers is not None:
        changes["engine__workers"] = workers
    context = click.get_current_context(silent=True)
    if context is not None and context.meta.get(_ENGINE):
        changes["engine__name"] = context.meta[_ENGINE]
    return load(config_file).with_(**{key: value for key, value in changes.items() if value is not None})


def emit_json(data: Any) -> None:
    """Print one JSON object on stdout, indented, keys as given."""
    import orjson

    sys.stdout.write(orjson.dumps(data, option=orjson.OPT_INDENT_2).decode() + "\n")
