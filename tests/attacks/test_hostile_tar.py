"""Archives made to do harm: nothing outside is touched, no memory claimed, the rest listed."""

from __future__ import annotations

import io
import os
import tarfile
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genepool import dataset
from genepool.dataset import _tar
from genepool.records import Case

GOOD = b"\xff\xd8\xff good"


def info(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type = kind
    made.linkname = link
    return made


def build(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for made, data in members:
            made.size = len(data)
            tar.addfile(made, io.BytesIO(data))
    return path


def listed(path: Path) -> tuple[list[str], dict[str, str]]:
    aside: list[Case] = []
    uris = [item.uri.partition("::")[2] for item in dataset.open(path).items(aside)]
    return uris, {case.uri.partition("::")[2]: case.reason for case in aside}


@pytest.mark.parametrize(
    ("member", "word"),
    [
        (info("/etc/passwd.jpg"), "absolute"),
        (info("../../up.jpg"), "climbs"),
        (info("a/../../up.jpg"), "climbs"),
        (info("..\\up.jpg"), "climbs"),
        (info("C:\\up.jpg"), "absolute"),
        (info("l.jpg", tarfile.SYMTYPE, "/etc/passwd"), "symbolic link"),
        (info("h.jpg", tarfile.LNKTYPE, "good.jpg"), "hard link"),
        (info("c.jpg", tarfile.CHRTYPE), "character device"),
        (info("b.jpg", tarfile.BLKTYPE), "block device"),
        (info("f.jpg", tarfile.FIFOTYPE), "pipe"),
        (info("u.jpg", b"Z"), "unknown type"),
    ],
)
def test_members_that_reach_outside_are_refused(tmp_path, member, word):
    data = b"x" if member.isreg() else b""
    path = build(tmp_path / "t.tar", (info("good.jpg"), GOOD), (member, data), (info("late.jpg"), GOOD))
    aside: list[Case] = []
    items = list(dataset.open(path).items(aside))
    assert [item.uri for item in items] == ["t.tar::good.jpg", "t.tar::late.jpg"]
    assert [case.reason for case in aside] == ["hostile-member"]
    assert word in aside[0].message
    assert [s.data for s in dataset.open(path)] == [GOOD, GOOD]
    assert sorted(os.listdir(tmp_path)) == ["t.tar"]


def test_a_link_that_claims_data_does_not_hide_what_follows(tmp_path):
    path = build(tmp_path / "t.tar", (info("l.jpg", tarfile.SYMTYPE, "x"), b""), (info("late.jpg"), GOOD))
    data = bytearray(path.read_bytes())
    # POSIX: a link's size field says nothing about the archive.
    data[124:136] = b"00000001000\0"
    data[148:156] = b"        "
    data[148:156] = f"{sum(data[:512]):06o}\0 ".encode()
    path.write_bytes(data)
    assert listed(path) == (["late.jpg"], {"l.jpg": "hostile-member"})


def test_a_name_that_comes_twice_counts_once(tmp_path):
    path = build(tmp_path / "t.tar", (info("a.jpg"), GOOD), (info("./a.jpg"), b"other"))
    assert listed(path) == (["a.jpg"], {"a.jpg": "hostile-member"})
    assert [s.data for s in dataset.open(path)] == [GOOD]


def test_a_sidecar_that_comes_twice_counts_once(tmp_path):
    path = build(
        tmp_path / "t.tar",
        (info("a.jpg"), GOOD),
        (info("a.genepool.json"), b'{"origin": "synthetic"}'),
        (info("a.genepool.json"), b'{"origin": "captured"}'),
    )
    (sample,) = dataset.open(path)
    assert sample.declared == {"origin": "synthetic"}
    assert listed(path)[1] == {"a.genepool.json": "hostile-member"}


@pytest.mark.parametrize("keep", [0, 100, 512, 700, 1024, 1500, 1536, 2000, 2048])
def test_a_truncated_archive_gives_what_is_whole(tmp_path, keep):
    path = build(tmp_path / "t.tar", (info("a.jpg"), GOOD), (info("b.jpg"), GOOD * 60))
    path.write_bytes(path.read_bytes()[:keep])
    uris, aside = listed(path)
    assert uris == (["a.jpg"] if keep >= 524 else []) + (["b.jpg"] if keep >= 1536 + len(GOOD) * 60 else [])
    assert list(aside.values()) == ["truncated-archive"]
    assert all(s.data == GOOD for s in dataset.open(path) if s.item.uri.endswith("a.jpg"))


def test_bytes_that_are_no_archive(tmp_path):
    (tmp_path / "t.tar").write_bytes(b"\xff\xd8\xff" + bytes(range(256)) * 8)
    assert listed(tmp_path / "t.tar") == ([], {"": "unreadable"})


def test_damage_in_the_middle_keeps_what_came_before(tmp_path):
    path = build(tmp_path / "t.tar", (info("a.jpg"), GOOD), (info("b.jpg"), GOOD))
    data = bytearray(path.read_bytes())
    data[1024:1034] = b"overwriten"
    path.write_bytes(data)
    assert listed(path) == (["a.jpg"], {"": "truncated-archive"})


def header(name: str, size: bytes, kind: bytes) -> bytes:
    """A ustar header whose size field holds exactly these 12 bytes."""
    block = bytearray(info(name, kind).tobuf(tarfile.USTAR_FORMAT))
    block[124:136] = size
    block[148:156] = b"        "
    block[148:156] = f"{sum(block):06o}\0 ".encode()
    return bytes(block)


@pytest.mark.parametrize(
    "kind", [tarfile.REGTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE]
)
@pytest.mark.parametrize(
    "size",
    [
        b"77777777777\0",  # 8 GiB − 1
        b"\x80" + b"\x7f" * 11,  # base-256, beyond any disk
        b"\xff" * 12,  # base-256, −1
    ],
)
def test_absurd_sizes_claim_no_memory(tmp_path, kind, size):
    path = tmp_path / "t.tar"
    path.write_bytes(info("a.jpg").tobuf() + header("evil.jpg", size, kind) + bytes(2048))
    tracemalloc.start()
    uris, aside = listed(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert uris == ["a.jpg"]
    assert list(aside.values()) == ["truncated-archive"]
    assert peak < 4 << 20


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE])
def test_a_long_name_backed_by_a_sparse_file_is_not_read(tmp_path, kind):
    path = tmp_path / "t.tar"
    length = 3 << 30
    with path.open("wb") as file:
        file.write(header("evil", f"{length:011o}\0".encode(), kind))
        file.truncate(512 + length + 1024)
    tracemalloc.start()
    assert listed(path) == ([], {"": "truncated-archive"})
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()


def test_sparse_members_are_refused_in_both_spellings(tmp_path):
    path = tmp_path / "t.tar"
    sparse = info("s.jpg")
    sparse.pax_headers = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.realsize": "99999999999",
    }
    build(path, (sparse, b"1\n0\n12\n"), (info("late.jpg"), GOOD))
    assert listed(path) == (["late.jpg"], {"s.jpg": "hostile-member"})
    old = bytearray(info("o.jpg", tarfile.GNUTYPE_SPARSE).tobuf(tarfile.GNU_FORMAT))
    old[482] = 1  # one block of extended map follows
    old[148:156] = b"        "
    old[148:156] = f"{sum(old):06o}\0 ".encode()
    late = info("late.jpg")
    late.size = len(GOOD)
    path.write_bytes(bytes(old) + bytes(512) + late.tobuf() + GOOD.ljust(512, b"\0") + bytes(1024))
    assert listed(path) == (["late.jpg"], {"o.jpg": "hostile-member"})


def test_pax_names_are_judged_like_others(tmp_path):
    name = "é" * 120 + ".jpg"
    path = build(tmp_path / "t.tar", (info("../" + name), GOOD), (info(name), GOOD))
    uris, aside = listed(path)
    assert uris == [name]
    assert list(aside.values()) == ["hostile-member"]


def test_a_pax_size_overrides_the_header(tmp_path):
    """Two readers that disagree about a size see different archives; ours sees what POSIX says."""
    body = b"12 size=512\n"
    real = header("a.jpg", b"00000000000\0", tarfile.REGTYPE)
    inner = header("hidden.jpg", b"00000000000\0", tarfile.REGTYPE)
    pax = header("pax", f"{len(body):011o}\0".encode(), tarfile.XHDTYPE)
    path = tmp_path / "t.tar"
    path.write_bytes(pax + body.ljust(512, b"\0") + real + inner + bytes(1024))
    assert listed(path) == (["a.jpg"], {})
    with tarfile.open(path) as tar:
        assert tar.getnames() == ["a.jpg"]


def test_too_many_members_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(_tar, "MAX_MEMBERS", 3)
    path = build(tmp_path / "t.tar", *[(info(f"{n}.jpg"), b"") for n in range(5)])
    assert listed(path) == (["0.jpg", "1.jpg", "2.jpg"], {"": "truncated-archive"})


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.data(),
    changes=st.lists(st.tuples(st.integers(0, 4607), st.integers(0, 255)), min_size=1, max_size=6),
)
def test_whatever_is_flipped_nothing_raises(tmp_path, data, changes):
    path = build(
        tmp_path / "t.tar", (info("a.jpg"), GOOD), (info("é" * 90 + "/b.png"), GOOD), (info("a.json"), b"{}")
    )
    raw = bytearray(path.read_bytes())
    for place, value in changes:
        raw[place] = value
    if data.draw(st.booleans()):
        # Repair the first checksum, so that the damage gets past it.
        raw[148:156] = b"        "
        raw[148:156] = f"{sum(raw[:512]):06o}\0 ".encode()
    path.write_bytes(raw[: data.draw(st.integers(0, len(raw)))])
    aside: list[Case] = []
    for sample in dataset.open(path).samples(aside):
        assert (sample.data is None) == (sample.case is not None and sample.case.reason != "bad-sidecar")
        assert sample.item.length <= path.stat().st_size
    for case in aside:
        case.uri.encode()
