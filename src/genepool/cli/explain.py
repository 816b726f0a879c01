"""``genepool explain GPnnn``: why a rule or an error exists, and what helps."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import click

from genepool.cli._options import complete_codes, emit_json, text_or_json_option

if TYPE_CHECKING:
    from genepool.report import Explanation

_EXIT = {
    0: "0 (information)",
    1: "1 (fail)",
    2: "2 (usage)",
    3: "3 (could not finish)",
    4: "4 (integrity)",
    5: "5 (undecided)",
}
WIDTH = 92


@click.command("explain")
@click.argument("word", required=False, shell_complete=complete_codes)
@text_or_json_option
def command(word: str | None, output: str) -> int:
    """Why a rule or an error exists and what to do: WORD is a code (GP101) or a name (human-ratio).

    Without WORD, every code with one sentence.
    """
    from genepool.report import explanations, find

    if word is None:
        entries = list(explanations().values())
        if output == "json":
            emit_json({"schema": "genepool.explanations/1", "codes": [entry.to_json() for entry in entries]})
        else:
            click.echo("\n".join(_overview(entries)))
        return 0
    entry = find(word)
    if output == "json":
        emit_json(entry.to_json())
    else:
        click.echo(_page(entry))
    return 0


def _overview(entries: list[Explanation]) -> list[str]:
    wide = max(len(entry.name) for entry in entries)
    lines = []
    for kind, title in (("rule", "Rules of the gate"), ("error", "Errors")):
        lines.append(f"{title}:")
        lines += [f"  {e.code}  {e.name:<{wide}}  {e.what}" for e in entries if e.kind == kind]
        lines.append("")
    return [*lines, "More about one of them: genepool explain GP101"]


def _page(entry: Explanation) -> str:
    lines = [
        f"{entry.code} {entry.name} · {entry.kind} · exit code {' or '.join(_EXIT[e] for e in entry.exit)}",
        "",
        *textwrap.wrap(entry.what, WIDTH),
        "",
        *textwrap.wrap(entry.why, WIDTH),
        "",
        "What to do:",
        *(f"  {line}" for line in entry.do),
    ]
    return "\n".join(lines)
