"""What a person at a terminal gets: completion, progress, no need for colour, a way on after each error."""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from genepool import errors
from genepool.cli import main
from support.galleries import crops, write
from support.terminal import environment

COLOUR = re.compile(r"\x1b\[(?:3[0-7]|4[0-7]|9[0-7]|10[0-7]|38;|48;)")


def shell(*words: str, **variables: str) -> str:
    done = subprocess.run(
        words, env=environment() | variables, capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout


TYPED = {
    "genepool comp": {"compare", "compose", "completion"},
    "genepool explain gp40": {"GP401", "GP402", "GP403"},
    "genepool check --ignore GP30": {"GP301", "GP303"},
    "genepool ledger pro": {"prove"},
}


def test_bash_completes():
    """The script is sourced and its function called as bash calls it."""
    script = ['eval "$(genepool completion bash)"']
    for line in TYPED:
        script.append(f"COMP_WORDS=({line}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); COMPREPLY=()")
        script.append("_genepool_completion genepool; echo ${COMPREPLY[@]}")
    told = shell("bash", "--norc", "-c", "\n".join(script)).splitlines()
    assert {line: set(found.split()) for line, found in zip(TYPED, told, strict=True)} == TYPED


def test_fish_completes():
    """In a real fish where there is one; its questions are answered everywhere."""
    told = shell(
        "genepool", _GENEPOOL_COMPLETE="fish_complete", COMP_WORDS="genepool explain", COMP_CWORD="GP40"
    )
    assert "GP401\tgeneration" in told or "GP401" in told
    if shutil.which("fish"):
        line = "genepool completion fish | source; complete --do-complete 'genepool explain GP40'"
        found = {row.split("\t")[0] for row in shell("fish", "--no-config", "-c", line).splitlines()}
        assert found == {"GP401", "GP402", "GP403"}


def test_zsh_completes():
    told = shell("genepool", _GENEPOOL_COMPLETE="zsh_complete", COMP_WORDS="genepool comp", COMP_CWORD="1")
    assert {"compare", "compose", "completion"} <= set(told.split())
    if shutil.which("zsh"):
        script = shell("genepool", "completion", "zsh")
        subprocess.run(["zsh", "-n", "-c", script], check=True, timeout=60)


def test_another_shell_is_refused(run):
    assert run("completion", "tcsh").code == 2


def on_a_terminal(*words: object, **variables: str) -> tuple[int, str, str]:
    """Run with stderr on a pseudo-terminal of 120 columns; exit code, stdout, what the terminal got."""
    import fcntl
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "genepool", *map(str, words)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=theirs,
        env=environment() | {"TERM": "xterm-256color", "OMP_NUM_THREADS": "1"} | variables,
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other side is closed
            break
        if not part:
            break
        shown += part
    os.close(ours)
    assert process.stdout is not None
    with process.stdout:
        out = process.stdout.read()
    return process.wait(60), out.decode(), shown.decode()


@pytest.fixture
def small(tmp_path: Path, photos: dict) -> Path:
    """24 pictures, one file that is none, and settings that make a scan quick."""
    write(tmp_path / "set", crops(photos, 24, seed=1), "p")
    (tmp_path / "set" / "a.jpg").write_bytes(b"no picture")
    (tmp_path / "quick.toml").write_text(
        '[diversity]\nembedder = "classical"\n[detection]\ndetector = "none"\n[scan]\nunit = 1\n', "utf-8"
    )
    return tmp_path / "set"


def test_progress_shows_rate_time_left_and_what_is_set_aside_without_colour(small):
    config = ("--config", small.parent / "quick.toml", "--workers", 1)
    code, out, shown = on_a_terminal("scan", small, *config, NO_COLOR="1")
    assert code == 0
    for word in (r"\d+/25", r"\d images/s", r"0:\d\d left", "1 set aside"):
        assert re.search(word, shown), (word, shown)
    assert not COLOUR.search(shown)
    assert "\x1b" not in out
    assert "24 images" in out
    assert "1 set aside" in out or "not-an-image" in out


def test_nothing_but_results_where_nobody_looks(small, run):
    """No bar when stderr is no terminal; no escape sequence in any output."""
    told = run("scan", small, "--config", small.parent / "quick.toml", "--workers", 1)
    assert told.err == ""
    assert "\x1b" not in told.out


@pytest.mark.parametrize(
    "kind", sorted({getattr(errors, n) for n in errors.__all__}, key=lambda k: k.__name__)
)
def test_every_error_ends_in_something_to_do(kind, monkeypatch, capsys):
    """Its own hint, or the explanation of its code."""

    def fail(*_: object, **__: object) -> None:
        raise kind("it is broken")

    monkeypatch.setattr("genepool.config.load", fail)
    with pytest.raises(SystemExit) as ended:
        main(["scan", "nowhere"])
    assert ended.value.code == kind.exit_code
    *_, message, hint = capsys.readouterr().err.splitlines()
    assert message == f"{kind.code} it is broken"
    assert hint == f"  → genepool explain {kind.code}"
