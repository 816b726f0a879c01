"""Write the pages that say again what the code says: commands, settings, rules, and the manual page.

    python docs/generate.py            # write them
    python docs/generate.py --check    # exit 1 and name those that are not what the code says

Written are ``docs/rules.md``, ``docs/reference/cli.md``, ``docs/reference/configuration.md`` and
``docs/man/genepool.1``. Nothing in them is edited by hand.
"""

from __future__ import annotations

import difflib
import re
import sys
import typing
from collections.abc import Iterator
from pathlib import Path

import click

from genepool import config
from genepool.cli._main import VERBS, cli
from genepool.cli.init import _limits, _toml
from genepool.report import Explanation, explanations

DOCS = Path(__file__).parent
NOTE = "<!-- Written by docs/generate.py from the code; change the code, then run `make docs`. -->"
ENDINGS = {
    0: "information",
    1: "the data failed the policy",
    2: "wrong usage or configuration",
    3: "could not finish",
    4: "integrity: a log, a signature or a certificate does not verify; nothing masks it",
    5: "undecided: more evidence or people are needed",
}
ENVIRONMENT = {
    "GENEPOOL_HOME": "folder of your key, trust policy and calibrations (default: ~/.config/genepool)",
    "GENEPOOL_KEY": "file of your private key, instead of the one in that folder",
    "GENEPOOL_PASSPHRASE": "passphrase of a protected key, where nobody can be asked",
    "GENEPOOL_NEW_PASSPHRASE": "what `genepool ledger key protect` sets, where nobody can be asked",
    "GENEPOOL_WORKSPACE": "workspace of commands that are given none",
    "GENEPOOL_PATIENCE": "seconds of pauses in all before an object in a store is given up (default: 10)",
    "NO_COLOR": "when set, the progress bar has no colour; nothing else ever has",
}


# ----------------------------------------------------------------------------------------- commands


class Page(typing.NamedTuple):
    """One command: its words, its parent's context, itself."""

    words: str
    context: click.Context
    command: click.Command


def commands() -> Iterator[Page]:
    """Every verb and every verb of a verb, in the order of ``genepool --help``."""

    def walk(command: click.Command, words: str, parent: click.Context | None) -> Iterator[Page]:
        context = click.Context(command, info_name=words.rsplit(" ", 1)[-1], parent=parent)
        yield Page(words, context, command)
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                found = command.get_command(context, name)
                assert found is not None
                yield from walk(found, f"{words} {name}", context)

    yield from walk(cli, "genepool", None)


def options(page: Page) -> list[tuple[str, str]]:
    """``(--name METAVAR, what it does)`` of each option but ``--help``."""
    rows = [p.get_help_record(page.context) for p in page.command.params if isinstance(p, click.Option)]
    return [row for row in rows if row is not None and "--help" not in row[0]]


def usage(page: Page) -> str:
    """``genepool check [OPTIONS] PATH``."""
    return " ".join([page.words, *page.command.collect_usage_pieces(page.context)])


def told(page: Page) -> list[str]:
    """The help text by paragraphs."""
    text = (page.command.help or "").split("\f")[0]
    paragraphs = re.split(r"\n\s*\n", text.strip())
    return [" ".join(p.replace("\b", "").split()) for p in paragraphs if p.strip()]


def cli_page() -> str:
    """``docs/reference/cli.md``."""
    lines = [
        NOTE,
        "# Command line",
        "",
        "`genepool check PATH` is the one verb to learn. Results go to standard output, progress to standard "
        "error. `--format json` prints one object with a `schema`, `--format github` prints annotations.",
        "",
        "| exit code | meaning |",
        "|---|---|",
        *(f"| {code} | {'pass' if code == 0 else text} |" for code, text in ENDINGS.items()),
        "",
        "| environment | meaning |",
        "|---|---|",
        *(f"| `{name}` | {text} |" for name, text in ENVIRONMENT.items()),
        "",
        "| verb | |",
        "|---|---|",
        *(f"| [`{verb}`](#genepool-{verb}) | {text} |" for verb, text in VERBS.items()),
        "",
    ]
    first, *rest = commands()
    lines += [f"`{_cell(name)}`: {_prose(_cell(text))}" for name, text in options(first)] + [""]
    for page in rest:
        level = "##" if page.words.count(" ") == 1 else "###"
        lines += [f"{level} genepool {page.words.removeprefix('genepool ')}", ""]
        lines += ["```text", usage(page), "```", ""]
        for paragraph in told(page):
            lines += [_prose(paragraph), ""]
        if rows := options(page):
            lines += ["| option | |", "|---|---|"]
            lines += [f"| `{_cell(name)}` | {_prose(_cell(text))} |" for name, text in rows]
            lines.append("")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _prose(text: str) -> str:
    """Text of the terminal as Markdown: brackets and stars stay what they are."""
    text = text.replace("``", "`")
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else re.sub(r"([*_<>\[\]])", r"\\\1", part) for part in parts)


# ----------------------------------------------------------------------------------- configuration


def configuration_page() -> str:
    """``docs/reference/configuration.md``."""
    hints = typing.get_type_hints(config.Config)
    lines = [
        NOTE,
        "# Configuration",
        "",
        "`genepool init` writes `genepool.toml` with every key, its default and its meaning. It is read "
        "from the current folder, or named with `--config FILE`; `[tool.genepool]` of a `pyproject.toml` "
        "serves as well. Options of the command line go before the file. An unknown key is an error with "
        "the nearest known name. In Python: `genepool.config.load(path)`, "
        "`Config().with_(policy__human_ratio=0.8)`.",
        "",
    ]
    table = None
    for key, default, meaning in config.describe():
        *tables, name = key.split(".")
        here = ".".join(tables)
        if here != table:
            table = here
            doc = (hints[here].__doc__ or "").strip() if here else "The file itself."
            lines += ["", f"## {f'[{here}]' if here else 'Top level'}", "", doc, ""]
            lines += ["| key | default | meaning |", "|---|---|---|"]
        owner = hints[here] if here else config.Config
        limits = _limits(owner, name)
        lines.append(
            f"| `{key}` | `{_toml(default)}` | {_cell(meaning)}{_cell(limits) and ' ' + _cell(limits)} |"
        )
    return "\n".join(lines) + "\n"


# ------------------------------------------------------------------------------------------- rules


def rules_page() -> str:
    """``docs/rules.md``."""
    entries = list(explanations().values())
    lines = [
        NOTE,
        "# Rules and errors",
        "",
        "Every line of the gate and every deliberate error has a code. `genepool explain GP101` prints what "
        "stands here; `--select` and `--ignore` take codes or their beginnings (`GP4` is every rule about "
        "generations).",
        "",
    ]
    for kind, title in (("rule", "Rules of the gate"), ("error", "Errors")):
        chosen = [entry for entry in entries if entry.kind == kind]
        lines += [f"## {title}", "", "| code | name | what |", "|---|---|---|"]
        lines += [f"| [{e.code}](#{_anchor(e)}) | {e.name} | {_cell(_prose(e.what))} |" for e in chosen]
        lines.append("")
        for entry in chosen:
            lines += _rule(entry)
    return "\n".join(lines)


def _anchor(entry: Explanation) -> str:
    return f"{entry.code.lower()}-{entry.name}"


def _rule(entry: Explanation) -> list[str]:
    endings = " or ".join(f"{code} ({ENDINGS[code].split(':')[0]})" for code in entry.exit)
    commands = "; ".join(f"`{line.split('  #')[0].strip()}`{_why(line)}" for line in entry.do)
    return [
        f"### {entry.code} {entry.name}",
        "",
        f"{_prose(' '.join(entry.what.split()))} Exit code {endings}.",
        "",
        _prose(entry.why),
        "",
        f"What to do: {commands}.",
        "",
    ]


def _why(line: str) -> str:
    comment = line.partition("  #")[2].strip()
    return f" ({_prose(comment)})" if comment else ""


# ------------------------------------------------------------------------------------- manual page


def manual() -> str:
    """``docs/man/genepool.1`` in the man(7) macros."""
    pages = list(commands())
    lines = [
        '.\\" Written by docs/generate.py from the code.',
        '.TH GENEPOOL 1 "" "genepool" "User Commands"',
        ".SH NAME",
        "genepool \\- keep image models from artistic inbreeding",
        ".SH SYNOPSIS",
        ".B genepool",
        ".I VERB",
        "[\\fIOPTIONS\\fR] \\fIPATH\\fR",
        ".SH DESCRIPTION",
    ]
    for paragraph in told(pages[0]):
        lines += [".PP", _roff(paragraph)]
    lines += [".PP", "Results go to standard output, progress to standard error."]
    lines.append(".SH VERBS")
    for page in pages[1:]:
        lines += [f'.SS "{_roff(page.words)}"', ".PP", f"\\fB{_roff(usage(page))}\\fR"]
        for paragraph in told(page):
            lines += [".PP", _roff(paragraph)]
        for name, text in options(page):
            lines += [".TP", f"\\fB{_roff(name)}\\fR", _roff(" ".join(text.split()))]
    lines.append(".SH EXIT STATUS")
    for code, text in ENDINGS.items():
        lines += [".TP", f"\\fB{code}\\fR", _roff("pass" if code == 0 else text)]
    lines.append(".SH ENVIRONMENT")
    for name, text in ENVIRONMENT.items():
        lines += [".TP", f"\\fB{name}\\fR", _roff(text)]
    lines += [
        ".SH FILES",
        ".TP",
        "\\fIgenepool.toml\\fR",
        "Settings; genepool init writes one with every key.",
    ]
    lines += [".TP", "\\fIPATH.genepool\\fR", "The workspace of PATH: catalogue, log, verdicts, report."]
    lines += [".SH RULES AND ERRORS", "genepool explain CODE says more about each."]
    for entry in explanations().values():
        lines += [".TP", f"\\fB{entry.code}\\fR {entry.name}", _roff(" ".join(entry.what.split()))]
    return "\n".join(lines) + "\n"


def _roff(text: str) -> str:
    text = text.replace("``", "").replace("\\", "\\e").replace("-", "\\-")
    # Glyphs that every roff has under a name; the others are letters of UTF-8.
    for glyph, name in (("“", "\\(lq"), ("”", "\\(rq"), ("…", "..."), ("→", "\\(->"), ("–", "\\(en")):
        text = text.replace(glyph, name)
    return re.sub(r"^([.'])", r"\\&\1", text)


# --------------------------------------------------------------------------------------------- main

PAGES = {
    "rules.md": rules_page,
    "reference/cli.md": cli_page,
    "reference/configuration.md": configuration_page,
    "man/genepool.1": manual,
}


def stale() -> dict[str, list[str]]:
    """Pages that are not what the code says, each with the lines that differ."""
    found = {}
    for name, make in PAGES.items():
        path = DOCS / name
        have = path.read_text("utf-8") if path.exists() else ""
        if (want := make()) != have:
            diff = difflib.unified_diff(
                have.splitlines(), want.splitlines(), "written", "the code", lineterm="", n=0
            )
            found[name] = list(diff)
    return found


def main() -> int:
    """Write or check; 0 when all is as the code says."""
    if "--check" in sys.argv[1:]:
        for name, diff in stale().items():
            print(f"docs/{name} is not what the code says: make docs", *diff[:12], sep="\n", file=sys.stderr)
        return 1 if stale() else 0
    for name, make in PAGES.items():
        path = DOCS / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(make(), "utf-8")
        print(f"docs/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
