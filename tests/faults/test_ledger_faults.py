"""Killed writers, two writing processes, disks that fail, a witness that dies before it answers."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from genepool import provenance
from genepool.errors import LogError, WorkspaceError
from genepool.provenance import Ledger, Signer, read_log
from genepool.store import Workspace
from support.ledgers import images

KEY = Signer("test", bytes(range(32)))
TESTS = str(Path(__file__).parents[1])

_APPEND = """
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

_REGISTER = """
import sys
sys.path.insert(0, sys.argv[2])
from genepool import provenance
from genepool.store import Workspace
from support.ledgers import images
space = Workspace(sys.argv[1]).create()
print("ready", flush=True)
for number in range(10_000):
    provenance.register_human(images(40, f"{number}"), space, cohort=f"c{number}", artist="Ada")
    print(number, flush=True)
"""

_SHARE = """
import sys
from genepool.provenance import Ledger, Signer
ledger = Ledger.open(sys.argv[1], signer=Signer("test", bytes(range(32))))
for number in range(25):
    ledger.append([b"%s %d" % (sys.argv[2].encode(), number)] * 9)
"""

_WITNESS = """
import os, sys
from genepool.provenance._note import Signer
from genepool.provenance._witness import Witness
log, eye = Signer("example.org/log", bytes(range(32))), Signer("witness.example/one", bytes(range(1, 33)))
witness = Witness(sys.argv[1], eye, {log.name: (log.verifier,)})
answer = witness.add_checkpoint(sys.stdin.buffer.read())
os.kill(os.getpid(), 9)  # the head is kept, the answer never leaves
"""


def start(code: str, *arguments: str) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def killed(process: subprocess.Popen[str], after: float) -> list[int]:
    """Kill it and return what it said."""
    time.sleep(after)
    os.kill(process.pid, signal.SIGKILL)
    assert process.stdout is not None
    said = [int(line) for line in process.stdout.read().split()]
    process.wait()
    process.stdout.close()
    return said


def kill_appends(path: Path, points: int, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(points):
        said = killed(start(_APPEND, str(path)), rng.random() * 0.15)
        ledger = Ledger.open(path, signer=KEY)
        ledger.audit()
        assert ledger.size >= max(said, default=0), "what was reported as durable is gone"
        with ledger.writing():
            ledger.audit()
        assert list(ledger.entries()) == [b"%d" % i for i in range(ledger.size)]


def kill_registrations(folder: Path, points: int, seed: int) -> None:
    rng = random.Random(seed)
    for point in range(points):
        place = folder / f"{point}.genepool"
        said = killed(start(_REGISTER, str(place), TESTS), 0.1 + rng.random() * 0.4)
        space = Workspace(place)
        if not (space.ledger / "checkpoint").exists():
            assert not said
            continue
        trail = provenance.open_trail(space)
        assert set(trail.cohorts) >= {f"c{number}" for number in said}
        # A cohort is there wholly or not at all, and the work simply goes on.
        assert {record.n for record in trail.cohorts.values()} <= {40}
        again = images(40, "0")
        done = provenance.register_human(again, space, cohort="c0", artist="Ada")
        assert done.n == done.new + done.known == 40
        (claim,) = provenance.open_trail(space).attestations(again.shas[:1], [])[0]
        assert claim.artist == "Ada"


def test_killed_registrations_are_whole_or_absent(tmp_path: Path) -> None:
    kill_registrations(tmp_path, 2, seed=3)


@pytest.mark.soak
def test_kill_minus_nine_at_two_hundred_points(tmp_path: Path) -> None:
    kill_appends(tmp_path / "log", 200, seed=11)


@pytest.mark.soak
def test_two_hundred_killed_registrations(tmp_path: Path) -> None:
    kill_registrations(tmp_path, 200, seed=12)


_DETAIL = """
import os, sys
from pathlib import Path
from genepool.provenance import _sidecar
details = _sidecar.commit_details([{"artist": "Bob"}] * 20_000)
def rows():
    for row in details[:-1]:
        yield row
    os.kill(os.getpid(), 9)  # in the middle of the transaction, with pages already on the disk
_sidecar.Sidecar(Path(sys.argv[1])).add(rows())
"""


def test_the_sidecar_of_a_killed_writer_is_read_without_what_was_not_finished(tmp_path: Path) -> None:
    space = Workspace(tmp_path / "set.genepool").create()
    provenance.register_human(images(3, "a"), space, cohort="a", artist="Ada")
    before = provenance.Sidecar(space.root).load()
    done = subprocess.run([sys.executable, "-c", _DETAIL, str(space.root)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert (space.root / "detail.sqlite-journal").exists()
    assert provenance.Sidecar(space.root).load() == before


def test_two_writing_processes_take_turns(tmp_path: Path) -> None:
    Ledger.open(tmp_path / "log", create=True, signer=KEY)
    both = [
        subprocess.Popen([sys.executable, "-c", _SHARE, str(tmp_path / "log"), word]) for word in ("a", "b")
    ]
    assert [process.wait(300) for process in both] == [0, 0]
    ledger = Ledger.open(tmp_path / "log", verifiers=[KEY.verifier])
    ledger.audit()
    entries = list(ledger.entries())
    assert len(entries) == 450
    for word in (b"a", b"b"):
        mine = [entry for entry in entries if entry.startswith(word)]
        assert mine == [b"%s %d" % (word, n) for n in range(25) for _ in range(9)]
    # Every batch stands in one piece.
    assert all(len(set(entries[at : at + 9])) == 1 for at in range(0, 450, 9))


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.EDQUOT])
def test_a_place_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    ledger = Ledger.open(tmp_path / "log", create=True, signer=KEY)
    ledger.append([b"a"])
    before = {path: path.read_bytes() for path in (tmp_path / "log").rglob("*") if path.is_file()}
    real = os.open

    def refuse(path: str, flags: int, *more: int) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR):
            raise OSError(number, os.strerror(number), path)
        return real(path, flags, *more)

    with monkeypatch.context() as patch:
        patch.setattr("genepool.provenance._files.os.open", refuse)
        with pytest.raises(WorkspaceError, match="cannot be written"):
            Ledger.open(tmp_path / "log", signer=KEY).append([b"b"])
        # Reading needs nothing of that.
        assert Ledger.open(tmp_path / "log", verifiers=[KEY.verifier]).audit().size == 1
    assert {path: path.read_bytes() for path in before} == before
    assert Ledger.open(tmp_path / "log", signer=KEY).append([b"b"]) == range(1, 2)


@pytest.mark.parametrize("call", [1, 2, 3, 4])
def test_no_root_is_signed_after_a_failed_sync_and_never_two_at_one_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    """The n-th sync of an append fails once; the next writer finishes it or starts from the old head."""
    from genepool.provenance._checkpoint import Checkpoint

    signed: dict[int, bytes] = {}
    sign = Checkpoint.sign

    def noted(head: Checkpoint, signer: Signer) -> bytes:
        assert signed.setdefault(head.size, head.root) == head.root, f"two roots at size {head.size}"
        return sign(head, signer)

    monkeypatch.setattr(Checkpoint, "sign", noted)
    monkeypatch.setattr("genepool.provenance._files._syncfs", None)
    ledger = Ledger.open(tmp_path / "log", create=True, signer=KEY)
    ledger.append([b"old"] * 3)
    real, left = os.fsync, call

    def fail(handle: int) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(handle)

    with monkeypatch.context() as patch:
        patch.setattr("genepool.provenance._files.os.fsync", fail)
        with pytest.raises(WorkspaceError):
            ledger.append([b"new"] * 4)
    assert left <= 0
    with pytest.raises(WorkspaceError, match="earlier append failed"):
        ledger.append([b"other"] * 4)
    again = Ledger.open(tmp_path / "log", signer=KEY)
    again.append([b"other"] * 4)
    again.audit()
    assert set(again.entries(0, 3)) == {b"old"}
    for size, root in signed.items():
        assert again.root_at(size) == root


def test_a_witness_that_dies_before_it_answers_stays_with_what_it_saw(tmp_path: Path) -> None:
    from genepool.provenance._witness import Witness, add_checkpoint_request

    log = Signer("example.org/log", bytes(range(32)))
    eye = Signer("witness.example/one", bytes(range(1, 33)))

    def grown(name: str, words: list[bytes]) -> Ledger:
        ledger = Ledger.open(tmp_path / name, create=True, signer=log, origin=log.name)
        ledger.append(words)
        return ledger

    honest, forked = grown("honest", [b"a"] * 17), grown("forked", [b"b"] * 19)
    submission = add_checkpoint_request(0, [], honest.signed_checkpoint())
    done = subprocess.run(
        [sys.executable, "-c", _WITNESS, str(tmp_path / "state")],
        input=submission, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL
    witness = Witness(tmp_path / "state", eye, {log.name: (log.verifier,)})
    refused = witness.add_checkpoint(add_checkpoint_request(0, [], forked.signed_checkpoint()))
    assert (refused.status, refused.body) == (409, b"17\n")
    # The log that got no answer asks again from the size that the conflict names.
    assert witness.add_checkpoint(add_checkpoint_request(17, [], honest.signed_checkpoint())).status == 200
    witness.close()


def test_a_log_that_is_cut_off_while_it_is_read_is_damage_not_a_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger.open(tmp_path / "log", create=True, signer=KEY)
    ledger.append([b"%d" % i for i in range(600)])
    real = os.read

    def fail(handle: int, count: int) -> bytes:
        if count > 2000:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(handle, count)

    with monkeypatch.context() as patch:
        patch.setattr("genepool.provenance._files.os.read", fail)
        with pytest.raises(LogError, match="cannot be read"):
            read_log(Ledger.open(tmp_path / "log", verifiers=[KEY.verifier]))
