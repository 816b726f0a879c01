"""The code blocks of a page, and whether output is what the page says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
REASON = re.compile(r"^\*Not run by the tests[^:*]*: (?P<reason>[^*]{8,})\*$", re.S)
SETUP = re.compile(r"<!--\s*tested in:\s*(?P<name>[\w-]+)\s*-->")
# The reason on a command's own line: `$ make test  # (not run by the tests: it runs them)`.
SKIPPED = re.compile(r"#.*\(not run by the tests: [^)]{8,}\)\s*$")
LANGUAGES = {"console", "python", "toml", "json", "yaml", "text"}


class Block(NamedTuple):
    """One fenced block."""

    page: str
    line: int
    language: str
    text: str
    reason: str | None  # why it is not run, as the reader of the page sees it
    setup: str | None  # the directory it is run in, named by the last `<!-- tested in: NAME -->`

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


class Command(NamedTuple):
    """A line after ``$``, and what should follow it."""

    line: int
    text: str
    output: list[str]
    exit: int | None  # None: the page says nothing about it, so it must be 0


def pages() -> list[str]:
    """Every page of the repository that users read, relative to its root."""
    return ["README.md", *sorted(str(p.relative_to(ROOT)) for p in (ROOT / "docs").rglob("*.md"))]


def blocks(page: str) -> list[Block]:
    """All blocks of a page in order; indented ones have the language ``indented``."""
    found, reason, setup = [], None, None
    for token in MarkdownIt("commonmark").parse((ROOT / page).read_text("utf-8")):
        if token.type == "html_block":
            named = SETUP.search(token.content)
            setup = named["name"] if named else setup
        elif token.type == "inline":
            matched = REASON.match(token.content.strip())
            reason = " ".join(matched["reason"].split()) if matched else None
        elif token.type in ("fence", "code_block"):
            language = token.info.split()[0] if token.info.strip() else ""
            if token.type == "code_block":
                language = "indented"
            line = (token.map or [0])[0] + 1
            found.append(Block(page, line, language, token.content, reason, setup))
            reason = None
    return found


def commands(block: Block) -> list[Command]:
    """The session of a ``console`` block."""
    found: list[Command] = []
    lines = block.text.splitlines()
    at = 0
    while at < len(lines):
        line = lines[at]
        start = block.line + 1 + at
        at += 1
        if not line.startswith("$ "):
            if not found:
                raise AssertionError(f"{block.place}: a session begins with `$ `, not with {line!r}")
            found[-1].output.append(line)
            continue
        text = line[2:]
        while text.endswith("\\") and at < len(lines):
            text = text[:-1] + lines[at].removeprefix("> ").strip()
            at += 1
        told = re.search(r"#.*\bexit (\d)", text)
        found.append(Command(start, text, [], int(told[1]) if told else None))
    for command in found:
        while command.output and not command.output[-1].strip():
            command.output.pop()
    return found


def matches(expected: list[str], printed: str) -> str | None:
    """None, or where the two part. ``…`` is any text, on a line of its own any number of lines.

    Runs of blanks count as one: columns move with the width of numbers.
    """
    lines = [" ".join(line.split()) for line in printed.splitlines()]
    have = "\n".join(lines).strip("\n") + "\n"
    if re.match(_pattern(expected) + r"\Z", have):
        return None
    for i in range(len(expected) - 1, 0, -1):
        if re.match(_pattern(expected[:i]), have):
            return f"the first {i} lines agree; then expected {expected[i]!r}"
    return f"expected {expected[0]!r}"


def _pattern(expected: list[str]) -> str:
    pattern = r"\A"
    for line in expected:
        text = " ".join(line.split())
        if text == "…":
            pattern += r"(?:[^\n]*\n)*?"
        else:
            pattern += "[^\\n]*?".join(re.escape(part) for part in text.split("…")) + r" ?\n"
    return pattern
