"""Requests to a store: tried again, of exact length, without credentials; streams; the lock."""

from __future__ import annotations

import errno
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import fsspec
import pytest

from genepool import dataset, remote
from genepool.errors import MissingExtra, SourceError, UsageError, WorkspaceError
from genepool.remote import Lease, RemoteFile, Unreachable, check_url, scrub
from support.buckets import KEY, SECRET, Fault, Store

DATA = random.Random(1).randbytes(300_000)


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("GENEPOOL_PATIENCE", "0.01")
    fs = fsspec.filesystem("memory")
    fs.pipe_file("/calls/object", DATA)
    yield "memory://calls/object"
    fs.rm("/calls", recursive=True)


@pytest.mark.parametrize(
    "given",
    [
        "s3://AKIA:hunter22@bucket/x",
        "https://user@host/x.tar",
        "https://host/x.tar?X-Amz-Credential=a&X-Amz-Signature=hunter22",
        "https://host/x.tar?sv=1&sig=hunter22",
        "https://host/x.tar?AWSAccessKeyId=1&Signature=hunter22",
        "https://host/x.tar?Token=hunter22",
    ],
)
def test_urls_with_credentials_are_refused_unsaid(given: str) -> None:
    for attempt in (check_url, dataset.open, remote.file_system):
        with pytest.raises(UsageError, match="without credentials") as caught:
            attempt(given)
        assert "hunter22" not in str(caught.value)


def test_other_urls_are_not_refused() -> None:
    for given in (
        "s3://bucket/a@2x/b.tar",
        "https://host/x.tar?version=3",
        "gs://b/sig=1",
        "s3://b/x?token=1.png",
    ):
        check_url(given)


def test_texts_lose_what_is_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("FSSPEC_S3_SECRET", "another-secret")
    text = scrub(
        f"no {SECRET} {KEY} another-secret https://u:p4ssword@h/x?X-Amz-Signature=abc123&a=1 "
        "Authorization: AWS4-HMAC-SHA256 Credential=xyz"
    )
    for secret in (SECRET, KEY, "another-secret", "p4ssword", "abc123", "xyz"):
        assert secret not in text
    assert "https://…@h/x?X-Amz-Signature=…&a=1" in text


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from genepool.remote import _calls

    _calls._system.cache_clear()

    def without(protocol: str, **options: Any) -> Any:
        raise ImportError("Install s3fs to access S3")

    with monkeypatch.context() as patch:
        patch.setattr(fsspec, "filesystem", without)
        with pytest.raises(MissingExtra) as caught:
            dataset.open("s3://bucket/x")
    assert caught.value.hint == "pip install 'genepool[s3]'"
    with pytest.raises(OSError, match="no reader for nowhere"):
        remote.file_system("nowhere://x")


def test_ranges_and_objects_are_exact(url: str) -> None:
    assert remote.read_object(url) == remote.read_object(url, len(DATA)) == DATA
    assert remote.read_object(url, 17) == DATA  # it has grown since it was listed
    assert remote.read_range(url, 10, 20) == DATA[10:20]
    assert remote.read_range(url, 5, 5) == b""
    with pytest.raises(EOFError):
        remote.read_range(url, len(DATA) - 3, len(DATA) + 1)
    with pytest.raises(FileNotFoundError):
        remote.read_object("memory://calls/nothing")


def test_failures_are_tried_five_times(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fs, calls = fsspec.filesystem("memory"), []
    real = fs.cat_file

    def flaky(path: str, **options: Any) -> bytes:
        calls.append(path)
        if len(calls) % 5:
            raise RuntimeError("the client broke\nwith a trace")
        return real(path, **options)

    monkeypatch.setattr(fs, "cat_file", flaky)
    assert remote.read_object(url) == DATA
    assert len(calls) == 5
    monkeypatch.setattr(fs, "cat_file", lambda path, **options: real(path, **options)[:-1])
    with pytest.raises(Unreachable, match=r"received 299999 \(5 tries\)") as caught:
        remote.read_object(url, len(DATA))
    assert caught.value.filename == url

    def denied(path: str, **options: Any) -> bytes:
        calls.append(path)
        raise PermissionError(errno.EACCES, "Access Denied")

    calls.clear()
    monkeypatch.setattr(fs, "cat_file", denied)
    with pytest.raises(PermissionError, match="Access Denied"):
        remote.read_object(url, len(DATA))
    assert len(calls) == 1  # to ask again would not help


def test_a_stream_is_the_object(url: str) -> None:
    chance = random.Random(3)
    with RemoteFile(url, len(DATA)) as raw, remote.open_remote(url) as stream:
        assert stream.read() == DATA
        for _ in range(300):
            at, n = chance.randrange(len(DATA) + 10), chance.randrange(5000)
            assert raw.seek(at) == at == stream.seek(at)
            assert raw.read(n) == stream.read(n) == DATA[at : at + n]
        assert raw.seek(-7, os.SEEK_END) == len(DATA) - 7
        assert raw.read(100) == DATA[-7:]
        assert raw.read(1) == b""


@pytest.mark.xdist_group("s3")
def test_a_stream_reads_ranges_and_not_the_object(s3: Store) -> None:
    s3.fs().pipe_file(f"{s3.bucket}/large", bytes(3 << 20))
    with remote.open_remote(f"{s3.url}/large") as stream:
        for at in range(0, 3 << 20, 1 << 20):  # as one reads the headers of a shard
            stream.seek(at)
            assert stream.read(512) == bytes(512)
    assert s3.proxy.count("GET", "large") == 3
    s3.proxy.clear()
    with remote.open_remote(f"{s3.url}/large") as stream:
        assert len(stream.read()) == 3 << 20
    assert s3.proxy.count("GET", "large") <= 7  # 64 KiB, and twice as much each time


@pytest.mark.xdist_group("s3")
def test_an_answer_that_takes_too_long_is_asked_for_again(s3: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a user configured for fsspec holds: here another time-out."""
    from genepool.remote import _calls

    monkeypatch.setitem(fsspec.config.conf, "s3", {"config_kwargs": {"read_timeout": 1}})
    monkeypatch.setattr(s3.proxy, "pause", 3.0)
    _calls._system.cache_clear()
    s3.fs().pipe_file(f"{s3.bucket}/late", b"at last")
    s3.proxy.faults.append(Fault("slow", "late", times=1))
    began = time.monotonic()
    assert remote.read_object(f"{s3.url}/late", 7) == b"at last"
    assert time.monotonic() - began > 0.9
    assert s3.proxy.count("GET", "late") >= 2


@pytest.mark.xdist_group("s3")
def test_a_denial_is_final(s3: Store) -> None:
    s3.fs().pipe_file(f"{s3.bucket}/d/1.png", b"x")
    s3.proxy.faults.append(Fault("denied", r"1\.png"))
    (sample,) = dataset.open(f"{s3.url}/d")
    assert sample.case is not None
    assert (sample.case.reason, "Access Denied" in sample.case.message) == ("unreadable", True)
    assert s3.proxy.count("GET", r"1\.png") == 1
    s3.proxy.faults.append(Fault("denied", "list-type"))
    with pytest.raises(SourceError, match="Access Denied"):
        dataset.open(f"{s3.url}/d")


@pytest.mark.xdist_group("s3")
def test_puts_are_conditional_and_survive_a_lost_answer(s3: Store) -> None:
    place = f"{s3.url}/once"
    s3.proxy.faults.append(Fault("lost", "once", "PUT", times=1))
    remote.put(place, b"first", create=True)
    with pytest.raises(FileExistsError):
        remote.put(place, b"second", create=True)
    assert remote.read_object(place) == b"first"
    remote.put(place, b"third")
    assert remote.read_object(place) == b"third"
    remote.remove(place)
    remote.remove(place)
    with pytest.raises(FileNotFoundError):
        remote.read_object(place)
    with pytest.raises(WorkspaceError, match="object store"):
        remote.put("local:///tmp/x", b"")


@pytest.mark.xdist_group("s3")
def test_a_lock_in_a_bucket_has_one_holder(s3: Store) -> None:
    """Eight threads, each with a client's view of its own, count in a file that nobody else guards."""
    place, inside, most = f"{s3.url}/locks", [0], [0]

    def work(_: int) -> None:
        lease = Lease(place, "the test")
        lease.acquire(wait=60)
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        time.sleep(0.01)
        inside[0] -= 1
        assert lease.held()
        lease.release()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(6)))
    assert most == [1]
    assert len(s3.names("locks")) == 1


def test_a_lock_runs_out_and_is_kept_alive(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    place = "memory://calls/locks"
    first, second = Lease(place, "it", ttl=2.0), Lease(place, "it", ttl=2.0)
    first.acquire()
    time.sleep(2.5)  # longer than it counts, but the heartbeat goes on
    with pytest.raises(WorkspaceError, match="only writer"):
        second.acquire()
    assert first.held()
    monkeypatch.setattr(first, "_lost", True)
    first._stop.set()
    assert first._thread is not None
    first._thread.join()
    second.acquire(wait=60)
    assert not first.held()
    first.release()  # does not take the other's away
    assert second.held()
    second.release()
    third = Lease(place, "it")
    third.acquire()
    third.release()


def test_a_dead_process_of_this_machine_holds_nothing(url: str) -> None:
    import orjson

    from genepool.remote import _lease

    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    mark = {
        "token": "x",
        "owner": "?",
        "place": _lease._place(),
        "pid": done.pid,
        "expires": time.time() + 99,
    }
    fs = fsspec.filesystem("memory")
    fs.pipe_file("/calls/locks/0000000041", orjson.dumps({**mark, "place": "another machine"}))
    lease = Lease("memory://calls/locks", "it")
    with pytest.raises(WorkspaceError, match="found another process writing"):
        lease.acquire()
    fs.pipe_file("/calls/locks/0000000041", orjson.dumps(mark))
    lease.acquire()
    assert [str(name) for name in fs.find("/calls/locks")] == ["/calls/locks/0000000042"]
    lease.release()


def test_an_old_listing_does_not_give_the_lock(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A contender that looked long ago creates a number that was passed, and finds out."""
    place = "memory://calls/locks"
    holder = Lease(place, "it")
    for _ in range(3):
        holder.acquire()
        holder.release()
    holder.acquire()
    late, seen = Lease(place, "it"), []
    real = Lease._newest

    def old(self: Lease) -> Any:
        if self is late and not seen:
            seen.append(1)
            return type(real(self))(1)  # number 1, given back
        return real(self)

    monkeypatch.setattr(Lease, "_newest", old)
    with pytest.raises(WorkspaceError, match="another process"):
        late.acquire()
    assert seen
    assert holder.held()
    holder.release()
    assert threading.active_count() < 50
