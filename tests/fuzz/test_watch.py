"""The judge itself: each thing that no input may do is seen, and what an input may do is not."""

from __future__ import annotations

import contextlib
import os
import pickle
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fuzz import watch
from fuzz.watch import Violation, scratch, watched
from genepool.errors import SourceError


def sleepless(_):
    until = time.process_time() + 0.2
    while time.process_time() < until:
        pass


def hidden(_):
    """A connection whose failure is swallowed: seen all the same."""
    with contextlib.suppress(OSError), socket.socket() as mine:
        mine.settimeout(0.01)
        mine.connect(("127.0.0.1", 9))


def elsewhere(tmp_path):
    def write(_):
        (tmp_path / "x").write_text("x")

    return write


def test_errors_of_ours_are_answers():
    def refuse(_):
        raise SourceError("not readable", hint="look again")

    watched(refuse, b"")
    watched(lambda data: (scratch() / "inside").write_bytes(data), b"x")
    watched(lambda data: Path(__file__).read_bytes(), b"")


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (lambda _: 1 // 0, "ZeroDivisionError"),
        (lambda _: [].pop(), "IndexError"),
        (lambda _: subprocess.run(["true"], check=True), "subprocess"),
        (lambda _: os.utime(__file__), "os.utime"),
        (lambda _: pickle.loads(pickle.dumps(Path("x"))), "pickle.find_class"),
        (hidden, "socket.connect"),
    ],
)
def test_what_is_forbidden_is_seen(target, said):
    with pytest.raises(Violation, match=said):
        watched(target, b"")


def test_a_file_elsewhere_is_seen(tmp_path):
    with pytest.raises(Violation, match="for writing"):
        watched(elsewhere(tmp_path), b"")


def test_an_error_without_a_sentence_is_none():
    def mute(_):
        raise SourceError("")

    with pytest.raises(Violation, match="without a sentence"):
        watched(mute, b"")


def test_time_is_counted(monkeypatch):
    monkeypatch.setattr(watch, "SECONDS", 0.1)
    with pytest.raises(Violation, match="CPU time"):
        watched(sleepless, b"")


def test_memory_is_counted():
    """In a process of its own: how large it ever was decides."""
    program = """
from fuzz import watch
watch.MEMORY = 1 << 26
try:
    watch.watched(lambda _: bytearray(300 << 20).count(1), b"")
except watch.Violation as broken:
    print(broken)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.fullmatch(r"took \d+ MB\n", done.stdout), done
