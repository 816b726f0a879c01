"""``genepool gate PATH``: apply a policy, write nothing into the log."""

from __future__ import annotations

from typing import Any

import click

from genepool.cli._options import config_option, format_option, workers_option, workspace_option
from genepool.cli.check import policy_options, run


@click.command("gate")
@click.argument("path")
@policy_options
@workers_option
@format_option
@config_option
@workspace_option
def command(
    path: str,
    workspace: str | None,
    config_file: str | None,
    output: str,
    workers: int | None,
    **policy: Any,
) -> int:
    """Apply a policy to PATH as `check` does, but write no report and nothing into the log.

    What is already scanned is not read again, so this answers at once how another policy would decide. New
    files are scanned, and the workspace's catalogue and journal say so.
    """
    return run(path, workspace, config_file, output, workers, record=False, **policy)
