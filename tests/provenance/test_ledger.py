"""The log on disk: appending, crashing, sharing, failing disks."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from genepool.errors import LogError, SignatureError, UsageError, WorkspaceError
from genepool.provenance import Ledger, Signer, _files
from genepool.provenance._files import LocalStore

KEY = Signer("test", bytes(range(32)))


def new_log(tmp_path: Path) -> Ledger:
    return Ledger.open(tmp_path / "log", create=True, signer=KEY)


def test_a_new_log_is_empty_signed_and_read_by_others(tmp_path: Path) -> None:
    ledger = new_log(tmp_path)
    assert len(ledger) == 0
    ledger.audit()
    assert ledger.append([b"a", b"b"]) == range(2)
    assert ledger.append([]) == range(2, 2)
    assert ledger.append([b"c"]) == range(2, 3)
    reader = Ledger.open(tmp_path / "log", verifiers=[KEY.verifier])
    assert list(reader.entries()) == [b"a", b"b", b"c"]
    assert reader.root == ledger.root
    assert reader.origin.startswith("genepool/")
    with pytest.raises(UsageError, match="reading"):
        reader.append([b"d"])


def test_opening_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="no log here"):
        Ledger.open(tmp_path / "nothing")
    with pytest.raises(UsageError, match="private key"):
        Ledger.open(tmp_path / "nothing", create=True)
    new_log(tmp_path).append([b"a"])
    (tmp_path / "log" / "checkpoint").unlink()
    for create in (False, True):
        with pytest.raises(LogError, match="checkpoint: missing"):
            Ledger.open(tmp_path / "log", create=create, signer=KEY)


def test_the_name_and_the_key_of_a_log_are_checked(tmp_path: Path) -> None:
    ledger = new_log(tmp_path)
    with pytest.raises(LogError, match="expected log 'other'"):
        Ledger.open(tmp_path / "log", origin="other", verifiers=[KEY.verifier])
    with pytest.raises(SignatureError, match="known key"):
        Ledger.open(tmp_path / "log", verifiers=[Signer.generate("other").verifier])
    stranger = Ledger.open(tmp_path / "log", signer=Signer.generate("other"), verifiers=[KEY.verifier])
    with pytest.raises(SignatureError, match="this log is signed by") as caught:
        stranger.append([b"x"])
    assert "GENEPOOL_KEY" in caught.value.hint
    assert ledger.audit().size == 0


def test_partial_tiles_go_when_the_full_one_is_there(tmp_path: Path) -> None:
    ledger = new_log(tmp_path)
    for size in (100, 200, 255):
        ledger.append([b"x"] * (size - ledger.size))
    folder = tmp_path / "log" / "tile"
    assert sorted(path.name for path in (folder / "0" / "000.p").iterdir()) == ["100", "200", "255"]
    old = Ledger.open(tmp_path / "log", verifiers=[KEY.verifier])
    ledger.append([b"x"] * 10)
    assert not list((folder / "0" / "000.p").iterdir())
    assert not list((folder / "entries" / "000.p").iterdir())
    # A reader that still holds the old head cuts what it needs from the full tiles.
    assert len(list(old.entries())) == 255
    old.prove(254).verify(None, [ledger.verifier])
    ledger.audit()


def test_readers_and_two_writers_at_once(tmp_path: Path) -> None:
    new_log(tmp_path)
    failures: list[BaseException] = []

    def write(word: bytes) -> None:
        try:
            ledger = Ledger.open(tmp_path / "log", signer=KEY)
            for number in range(15):
                ledger.append([b"%b %d" % (word, number)] * 20)
        except BaseException as error:
            failures.append(error)

    def read() -> None:
        try:
            for _ in range(15):
                Ledger.open(tmp_path / "log", verifiers=[KEY.verifier]).audit()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(word,)) for word in (b"a", b"b")]
    threads.append(threading.Thread(target=read))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    entries = list(Ledger.open(tmp_path / "log", verifiers=[KEY.verifier]).entries())
    assert len(entries) == 600
    assert [e for e in entries if e.startswith(b"a")] == [b"a %d" % n for n in range(15) for _ in range(20)]


def test_a_writer_that_waits_too_long_says_so(tmp_path: Path) -> None:
    new_log(tmp_path)
    store = LocalStore(tmp_path / "log")
    with (
        store.lock(),
        pytest.raises(WorkspaceError, match="another process"),
        LocalStore(tmp_path / "log").lock(timeout=0.05),
    ):
        pytest.fail("two writers at once")


_WRITER = """
import sys
from genepool.provenance import Ledger, Signer
ledger = Ledger.open(sys.argv[1], create=True, signer=Signer("test", bytes(range(32))))
print("ready", flush=True)
number = ledger.size
while True:
    count = number % 97 * 7 % 90 + 1
    ledger.append([b"%d" % (number + i) for i in range(count)])
    number += count
    print(ledger.size, flush=True)
"""


def test_kill_minus_nine_at_random_points(tmp_path: Path) -> None:
    rng = random.Random(7)
    path = tmp_path / "log"
    for _ in range(10):
        process = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(rng.random() * 0.12)
        os.kill(process.pid, signal.SIGKILL)
        said = [int(line) for line in process.stdout.read().split()]
        process.wait()
        process.stdout.close()
        ledger = Ledger.open(path, signer=KEY)
        ledger.audit()
        assert ledger.size >= max(said, default=0), "what was reported as durable is gone"
        with ledger.writing():
            ledger.audit()
        assert list(ledger.entries()) == [b"%d" % i for i in range(ledger.size)]
    assert ledger.size > 0


class _Crash(Exception):
    pass


@pytest.mark.parametrize("step", ["write", "barrier", "append", "publish"])
@pytest.mark.parametrize("after", [False, True])
def test_a_crash_at_each_step_leaves_the_old_head_or_finishes_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, after: bool
) -> None:
    new_log(tmp_path).append([b"old"] * 200)
    ledger = Ledger.open(tmp_path / "log", signer=KEY)
    real = getattr(LocalStore, step)

    def crash(self: LocalStore, *arguments: object) -> None:
        if after:
            real(self, *arguments)
        raise _Crash

    with monkeypatch.context() as patch:
        patch.setattr(LocalStore, step, crash)
        with pytest.raises(_Crash):
            ledger.append([b"new"] * 300)
    again = Ledger.open(tmp_path / "log", signer=KEY)
    again.audit()
    journalled = (step, after) in {("append", True), ("publish", False), ("publish", True)}
    with again.writing():
        assert again.size == (500 if journalled else 200)
    again.append([b"other"])
    assert list(again.entries())[-1] == b"other"
    assert again.audit().size == (501 if journalled else 201)


def test_a_torn_journal_line_was_never_signed(tmp_path: Path) -> None:
    ledger = new_log(tmp_path)
    ledger.append([b"a"])
    with (tmp_path / "log" / "signed-heads").open("ab") as file:
        file.write(b"7 AAAA")
    ledger.append([b"b"])
    assert ledger.audit().size == 2


def test_a_second_root_at_a_signed_size_is_never_signed(tmp_path: Path) -> None:
    ledger = new_log(tmp_path)
    ledger.append([b"a"])
    checkpoint = (tmp_path / "log" / "checkpoint").read_bytes()
    ledger.append([b"b"])
    # The head goes back by one; its tile at size 2 is lost: finishing is impossible, so is another size 2.
    (tmp_path / "log" / "checkpoint").write_bytes(checkpoint)
    (tmp_path / "log" / "tile" / "0" / "000.p" / "2").unlink()
    with pytest.raises(LogError, match="was signed"):
        Ledger.open(tmp_path / "log", signer=KEY).append([b"c"])


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("call", ["os.write", "os.fsync", "_sync_file_system"])
def test_full_and_failing_disks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    new_log(tmp_path).append([b"old"])
    if call == "os.fsync":
        monkeypatch.setattr("genepool.provenance._files._syncfs", None)
    elif call == "_sync_file_system" and _files._syncfs is None:
        pytest.skip("this system has no syncfs")
    for good_calls in range(1 if call == "_sync_file_system" else 3):
        ledger = Ledger.open(tmp_path / "log", signer=KEY)
        before = ledger.signed_checkpoint()
        real, left = getattr(_files if call.startswith("_") else os, call.removeprefix("os.")), good_calls

        def fail(*arguments: object) -> object:
            nonlocal left
            if left == 0:
                raise OSError(number, os.strerror(number))
            left -= 1
            return real(*arguments)  # noqa: B023

        with monkeypatch.context() as patch:
            patch.setattr(f"genepool.provenance._files.{call}", fail)
            with pytest.raises(WorkspaceError, match="cannot be written"):
                ledger.append([b"new"] * 3)
        # Nothing was signed, and this object never signs again.
        assert (tmp_path / "log" / "checkpoint").read_bytes() == before
        with pytest.raises(WorkspaceError, match="earlier append failed"):
            ledger.append([b"new"])
        assert Ledger.open(tmp_path / "log", verifiers=[KEY.verifier]).audit().size == ledger.size
    again = Ledger.open(tmp_path / "log", signer=KEY)
    again.append([b"later"])
    assert list(again.entries())[-1] == b"later"
    again.audit()


def test_reload_refuses_a_shorter_head(tmp_path: Path) -> None:
    ledger = new_log(tmp_path)
    ledger.append([b"a"])
    old = ledger.signed_checkpoint()
    ledger.append([b"b"])
    (tmp_path / "log" / "checkpoint").write_bytes(old)
    with pytest.raises(LogError, match="rolled back or forked"):
        ledger.reload()
