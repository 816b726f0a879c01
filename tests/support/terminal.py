"""Two shells that run a page: one in this process and quick, one a real bash."""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

OPERATORS = set("|&;<>()$`*?~")


class Shell(Protocol):
    """Runs commands one after another in one folder."""

    def run(self, command: str) -> tuple[int, str]:
        """Exit code, and both streams as one text."""


class Quick:
    """``genepool …`` in this process, everything else by ``bash -c``; ``$?`` is kept, ``cd`` is not."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.last = 0

    def run(self, command: str) -> tuple[int, str]:
        words = _plain(command)
        self.last, text = self._genepool(words[1:]) if words[:1] == ["genepool"] else self._bash(command)
        return self.last, text

    def _genepool(self, words: list[str]) -> tuple[int, str]:
        from genepool.cli import main

        out = io.StringIO()
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
                main(words)
        except SystemExit as ended:
            return int(ended.code or 0), out.getvalue()

    def _bash(self, command: str) -> tuple[int, str]:
        done = subprocess.run(
            ["bash", "-c", f"(exit {self.last}); {command}"],
            cwd=self.folder,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )
        return done.returncode, done.stdout


class Bash:
    """One bash for the whole page, as a reader's terminal is."""

    MARK = "~~~genepool-docs~~~"

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            ["bash", "--norc"],
            cwd=folder,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            bufsize=1,
        )

    def run(self, command: str) -> tuple[int, str]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        # A newline before the brace: the command may end in a comment.
        self.process.stdin.write(f"(exit ${{__last:-0}})\n{{ {command}\n}} </dev/null 2>&1\n__last=$?\n")
        self.process.stdin.write(f"printf '\\n{self.MARK}%d\\n' $__last\n")
        lines: list[str] = []
        for line in self.process.stdout:
            if line.startswith(self.MARK):
                return int(line.removeprefix(self.MARK)), "".join(lines)
            lines.append(line)
        raise AssertionError(f"bash ended in {command!r}:\n{''.join(lines)}")

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(30)
        assert self.process.stdout is not None
        self.process.stdout.close()


@contextlib.contextmanager
def shell(folder: Path, *, real: bool) -> Iterator[Shell]:
    """A shell in a folder: a real bash, or the quick one."""
    if not real:
        yield Quick(folder)
        return
    bash = Bash(folder)
    try:
        yield bash
    finally:
        bash.close()


def environment() -> dict[str, str]:
    """This process's, with the tested `genepool` first in the path."""
    here = Path(sys.executable).parent
    return {**os.environ, "PATH": f"{here}{os.pathsep}{os.environ['PATH']}", "TERM": "dumb"}


def _plain(command: str) -> list[str]:
    """The words of a command without shell syntax; none where there is some."""
    try:
        lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words = list(lexer)
    except ValueError:
        return []
    return [] if any(set(word) & OPERATORS for word in words) else words
