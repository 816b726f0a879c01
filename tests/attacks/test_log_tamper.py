"""Every change of a log must be noticed, and the file that changed must be named."""

from __future__ import annotations

import base64
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from genepool import provenance
from genepool.errors import IntegrityError, LogError, SignatureError, UsageError
from genepool.provenance import Ledger, Signer, Verifier
from genepool.provenance._dsse import make_seal
from genepool.provenance._entries import decode, encode
from genepool.provenance._merkle import leaf_hashes, root
from genepool.provenance._note import open_note, sign_note
from genepool.provenance._tiles import decode_bundle, encode_bundle
from genepool.provenance._writer import open_writer
from genepool.store import Workspace
from support.ledgers import digest, images, log_files, small_log, workspace


def verifiers() -> tuple[Verifier, ...]:
    key = provenance.load_key()
    assert key is not None
    return (key.signer.verifier,)


def audit(space: Workspace) -> None:
    provenance.read_log(Ledger.open(space.ledger, verifiers=verifiers()))


def place_of(path: Path, space: Workspace) -> str:
    return str(path.relative_to(space.ledger))


# --------------------------------------------------------------------------------------------- bit flips


def flip_and_audit(space: Workspace, path: Path, position: int, bit: int) -> None:
    good = path.read_bytes()
    path.write_bytes(good[:position] + bytes([good[position] ^ 1 << bit]) + good[position + 1 :])
    with pytest.raises(IntegrityError) as caught:
        audit(space)
    path.write_bytes(good)
    named = place_of(path, space)
    assert named in caught.value.message, (named, position, bit, caught.value.message)


def test_flipped_bits_are_named(tmp_path: Path) -> None:
    space = small_log(tmp_path)
    audit(space)
    for path in log_files(space):
        size = path.stat().st_size
        for position in range(0, size, max(1, size // 60)):
            flip_and_audit(space, path, position, position % 8)
    audit(space)


@pytest.mark.soak
def test_every_flipped_bit_is_named(tmp_path: Path) -> None:
    space = small_log(tmp_path)
    for path in log_files(space):
        for position in range(path.stat().st_size):
            for bit in range(8):
                flip_and_audit(space, path, position, bit)
    audit(space)


def test_flips_in_a_log_of_three_levels(tmp_path: Path) -> None:
    signer = Signer.generate("test")
    ledger = Ledger.open(tmp_path / "log", create=True, signer=signer)
    ledger.append(b"%d" % i for i in range(256 * 256 + 256 + 3))
    for name in (
        "tile/2/000.p/1",
        "tile/1/000",
        "tile/1/001.p/1",
        "tile/0/000",
        "tile/0/256",
        "tile/0/257.p/3",
    ):
        path = tmp_path / "log" / name
        good = path.read_bytes()
        path.write_bytes(bytes([good[0] ^ 1]) + good[1:])
        with pytest.raises(LogError, match=name):
            ledger.audit()
        path.write_bytes(good)
    for name in ("tile/entries/000", "tile/entries/256", "tile/entries/257.p/3"):
        path = tmp_path / "log" / name
        good = path.read_bytes()
        path.write_bytes(good[:2] + bytes([good[2] ^ 1]) + good[3:])
        with pytest.raises(LogError, match=name):
            ledger.audit()
        path.write_bytes(good)
    ledger.audit()


@pytest.mark.parametrize(
    "damage",
    [
        lambda p: p.unlink(),
        lambda p: p.write_bytes(p.read_bytes()[:-1]),
        lambda p: p.write_bytes(p.read_bytes() + b"\0"),
        lambda p: p.write_bytes(b""),
        lambda p: (p.unlink(), p.mkdir()),
        lambda p: (p.unlink(), p.symlink_to("/dev/zero")),
    ],
    ids=["missing", "short", "long", "empty", "folder", "device"],
)
def test_missing_short_and_strange_files(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    space = small_log(tmp_path)
    size = Ledger.open(space.ledger, verifiers=verifiers()).size
    path = space.ledger / "tile" / "entries" / "000.p" / str(size)
    damage(path)
    with pytest.raises(LogError, match=place_of(path, space)):
        audit(space)


def test_swapped_entries(tmp_path: Path) -> None:
    space = small_log(tmp_path)
    size = Ledger.open(space.ledger, verifiers=verifiers()).size
    path = space.ledger / "tile" / "entries" / "000.p" / str(size)
    entries = decode_bundle(path.read_bytes(), size, "")
    entries[3], entries[4] = entries[4], entries[3]
    path.write_bytes(encode_bundle(entries))
    with pytest.raises(LogError, match=rf"{place_of(path, space)}: entry 3 "):
        audit(space)


def test_entry_and_tile_changed_together(tmp_path: Path) -> None:
    space = small_log(tmp_path)
    size = Ledger.open(space.ledger, verifiers=verifiers()).size
    path = space.ledger / "tile" / "entries" / "000.p" / str(size)
    entries = decode_bundle(path.read_bytes(), size, "")
    entries[3] = entries[3].replace(b"human_made", b"captured")
    path.write_bytes(encode_bundle(entries))
    (space.ledger / "tile" / "0" / "000.p" / str(size)).write_bytes(leaf_hashes(entries))
    with pytest.raises(LogError, match="rewritten"):
        audit(space)


# --------------------------------------------------------------------------------------------- checkpoint


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"\n25\n", b"\n025\n"),
        (b"\n25\n", b"\n+25\n"),
        (b"\n25\n", b"\n 25\n"),
        (b"\n25\n", b"\n18446744073709551616\n"),
        (b"\n", b"\r\n"),
    ],
)
def test_checkpoints_that_are_signed_but_malformed(tmp_path: Path, old: bytes, new: bytes) -> None:
    key = Signer.generate("log")
    ledger = Ledger.open(tmp_path / "log", create=True, signer=key, origin="log")
    ledger.append(b"%d" % i for i in range(25))
    text = ledger.checkpoint().text().encode().replace(old, new)
    path = tmp_path / "log" / "checkpoint"
    if b"\r" in text:
        path.write_bytes(ledger.signed_checkpoint().replace(old, new))
    else:
        path.write_bytes(sign_note(text.decode(), [key]))
    with pytest.raises(IntegrityError, match="checkpoint"):
        Ledger.open(tmp_path / "log", verifiers=[key.verifier])


def test_signature_lines() -> None:
    one, two = Signer.generate("one"), Signer.generate("two")
    good = sign_note("text\n", [one, two])
    line = next(line for line in good.decode().split("\n") if line.startswith("— one"))
    assert {v.name for v in open_note(good, [one.verifier, two.verifier]).signed_by} == {"one", "two"}
    assert open_note(good, [one.verifier]).unknown == (two.verifier.id,)
    # Same name with another key: unknown. Known key with a bad signature: refused.
    with pytest.raises(SignatureError, match="known key"):
        open_note(good, [Verifier("one", two.verifier.public)])
    forged = base64.b64encode(one.verifier.key_id + bytes(64)).decode()
    for bad in (
        f"text\n\n{line}\n{line}\n",
        f"text\n\n— one {forged}\n",
        f"text\n\n{line.replace('— ', '- ')}\n",
        f"text\n\n{line} \n",
        f"text\n\n{line}",
        f"text\n{line}\n",
        f"text\n\n{line[:-1]}\n",
        "text\n\n" + "".join(f"— k{i} {forged}\n" for i in range(101)),
    ):
        with pytest.raises(SignatureError):
            open_note(bad.encode(), [one.verifier])


@pytest.mark.parametrize(
    "text",
    ["", "name", "name+00000000", "na me+00000000+AAAA", "name+00000000+AQ==", "name+zzzzzzzz+!!"],
)
def test_malformed_keys(text: str) -> None:
    with pytest.raises(SignatureError):
        Verifier.parse(text)
    with pytest.raises(SignatureError):
        Signer.parse(f"PRIVATE+KEY+{text}")


def test_key_id_of_another_key_is_refused() -> None:
    one, two = Signer.generate("one").verifier, Signer.generate("one").verifier
    mixed = f"one+{one.key_id.hex()}+{two.vkey.split('+', 2)[2]}"
    with pytest.raises(SignatureError, match="expected id"):
        Verifier.parse(mixed)


# ----------------------------------------------------------------------------------- rollback and forks


def test_truncation_with_the_old_checkpoint_is_refused(tmp_path: Path) -> None:
    space = workspace(tmp_path)
    provenance.register_human(images(4, "a"), space, cohort="a")
    old = tmp_path / "old"
    shutil.copytree(space.ledger, old)
    provenance.withdraw(space, cohort="a")
    shutil.rmtree(space.ledger)
    shutil.copytree(old, space.ledger)
    with pytest.raises(LogError, match="rolled back"):
        provenance.open_trail(space)
    with pytest.raises(LogError, match="rolled back"):
        provenance.register_human(images(1, "z"), space, cohort="z")


def test_an_older_copy_elsewhere_is_said_and_the_longer_one_counts(tmp_path: Path) -> None:
    space = workspace(tmp_path)
    provenance.register_human(images(4, "a"), space, cohort="a")
    shutil.copytree(space.ledger, tmp_path / "copy")
    provenance.withdraw(space, cohort="a")
    space.link(tmp_path / "copy")
    trail = provenance.open_trail(space)
    assert len(trail) == 0
    assert any("older copy" in problem for problem in trail.problems)


def test_two_logs_under_one_name_are_a_fork(tmp_path: Path) -> None:
    space, other = workspace(tmp_path, "one"), workspace(tmp_path, "two")
    provenance.register_human(images(4, "a"), space, cohort="a")
    shutil.copytree(space.ledger, other.ledger)
    provenance.register_human(images(2, "b"), space, cohort="b")
    # The fork is written by somebody who never saw the first log's new head.
    key = provenance.load_key()
    assert key is not None
    Ledger.open(other.ledger, signer=key.signer).append([encode({"kind": "withdraw", "at": 0, "index": 2})])
    space.link(other.ledger)
    with pytest.raises(LogError, match="fork"):
        provenance.open_trail(space)


def test_a_rewritten_log_under_a_strangers_key_counts_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = workspace(tmp_path)
    provenance.register_human(images(3, "a"), space, cohort="a")
    shutil.rmtree(space.ledger)
    monkeypatch.setenv("GENEPOOL_KEY", Signer.generate("stranger").text())
    provenance.register_human(images(9, "fake"), space, cohort="a")
    monkeypatch.delenv("GENEPOOL_KEY")
    trail = provenance.open_trail(space)
    assert not trail.is_trusted.any()
    assert any("not trusted" in problem for problem in trail.problems)


# ------------------------------------------------------------------------------------- replayed seals


def entries_of(space: Workspace) -> list[bytes]:
    return list(Ledger.open(space.ledger, verifiers=verifiers()).entries())


def stranger_log(tmp_path: Path, entries: list[bytes]) -> Workspace:
    """A log run by somebody else that holds these entries."""
    space = workspace(tmp_path, "stranger")
    key = Signer.generate("stranger")
    Ledger.open(space.ledger, create=True, signer=key)
    ledger = Ledger.open(space.ledger, signer=key)
    entry = {"kind": "key", "action": "register", "at": 0, "role": "log", "vkey": ledger.verifier.vkey}
    ledger.append([encode(entry), *entries])
    return space


def test_a_sealed_batch_copied_into_another_log_does_not_count(tmp_path: Path) -> None:
    space = workspace(tmp_path)
    provenance.register_human(images(3, "a"), space, cohort="a")
    copied = stranger_log(tmp_path, entries_of(space)[1:])
    trail = provenance.read_trail([copied.ledger])
    assert len(trail) == 0
    assert any("made for log" in problem for problem in trail.problems)


def test_a_seal_does_not_cover_other_entries(tmp_path: Path) -> None:
    space = workspace(tmp_path)
    provenance.register_human(images(3, "a"), space, cohort="a")
    entries = entries_of(space)
    key = provenance.load_key()
    assert key is not None
    body = orjson.loads(entries[3])
    other = encode({k: v for k, v in body.items() if k != "v"} | {"sha256": digest("not mine").hex()})
    Ledger.open(space.ledger, signer=key.signer).append([other, *entries[4:6], entries[6]])
    trail = provenance.open_trail(space)
    assert len(trail) == 3
    assert trail.attestations([digest("not mine")], []) == [()]
    assert any("not the ones before it" in problem for problem in trail.problems)


def test_forged_and_malformed_seals_count_for_nothing(tmp_path: Path) -> None:
    space = workspace(tmp_path)
    provenance.register_human(images(1, "a"), space, cohort="a")
    mine, forger = provenance.load_key(), Signer.generate("forger")
    assert mine is not None
    ledger = Ledger.open(space.ledger, signer=mine.signer)
    entry = encode(
        {
            "kind": "origin",
            "gen": [0, 0],
            "origin": "human_made",
            "pix": digest("p").hex(),
            "role": "attest",
            "sha256": digest("s").hex(),
        }
    )
    signed = {"log": ledger.verifier.vkey, "n": 1, "role": "attest"}
    good = orjson.loads(make_seal(forger, root(leaf_hashes([entry])), {**signed, "first": ledger.size}))
    good.pop("v")
    envelope = good["dsse"]
    claimed = {**good, "vkey": mine.signer.verifier.vkey}
    claimed["dsse"] = {
        **envelope,
        "signatures": [{**envelope["signatures"][0], "keyid": mine.signer.verifier.id}],
    }
    for bad in (
        claimed,
        {**good, "vkey": "nonsense"},
        {**good, "dsse": {}},
        {**good, "dsse": {**envelope, "payload": "e30="}},
        {**good, "dsse": {**envelope, "payload": "not base64"}},
        {**good, "dsse": {**envelope, "signatures": []}},
    ):
        ledger.append([entry, encode(bad)])
    trail = provenance.open_trail(space)
    assert trail.attestations([digest("s")], []) == [()]
    assert sum("its batch counts for nothing" in problem for problem in trail.problems) == 6


# ---------------------------------------------------------------------------------------- hostile entries

_HEX = "ab" * 32
_ORIGIN = f'"kind":"origin","origin":"human_made","pix":"{_HEX}","role":"attest","sha256":"{_HEX}"'


@pytest.mark.parametrize(
    "entry",
    [
        b"",
        b"null",
        b"[]",
        b"nonsense",
        b"\xff\xfe",
        b"{" * 60_000,
        b"[" * 60_000 + b"]" * 5_000,
        b'{"a":1,"a":1,"kind":"x","v":1}',
        b'{"a":NaN,"kind":"x","v":1}',
        b'{"a":Infinity,"kind":"x","v":1}',
        b'{"a":1.5,"kind":"x","v":1}',
        b'{"a":1e3,"kind":"x","v":1}',
        b'{"a":9007199254740993,"kind":"x","v":1}',
        b'{"a":123456789012345678901234567890,"kind":"x","v":1}',
        b'{"a":"\\ud800","kind":"x","v":1}',
        b'{"a":"\\u0041","kind":"x","v":1}',
        b'{"kind":"x", "v":1}',
        b'{"v":1,"kind":"x"}',
        '{"kind":"x","v":1,"\u00e9":1}'.encode(),
        b'{"kind":"x","n":' + b"[" * 20 + b"]" * 20 + b',"v":1}',
        ('{"gen":[0,0],' + _ORIGIN + ',"v":1,"x":1}').encode(),
        ('{"gen":[2,1],' + _ORIGIN + ',"v":1}').encode(),
        ('{"gen":[0],' + _ORIGIN + ',"v":1}').encode(),
        ('{"gen":[true,1],' + _ORIGIN + ',"v":1}').encode(),
        ("{" + _ORIGIN + ',"v":1}').encode(),
        ('{"gen":[0,0],' + _ORIGIN.replace("human_made", "divine") + ',"v":1}').encode(),
        ('{"gen":[0,0],' + _ORIGIN.replace(_HEX, _HEX.upper()) + ',"v":1}').encode(),
        ('{"gen":[0,0],' + _ORIGIN.replace(_HEX, _HEX[:-1]) + ',"v":1}').encode(),
        ('{"cohort":"a\\nb","gen":[0,0],' + _ORIGIN + ',"v":1}').encode(),
    ],
)
def test_hostile_entries_are_refused_and_named(tmp_path: Path, entry: bytes) -> None:
    with pytest.raises(LogError):
        decode(entry)
    space = workspace(tmp_path)
    provenance.register_human(images(1, "a"), space, cohort="a")
    with open_writer(space, None) as writer:
        at = writer.ledger.append([entry])[0]
    with pytest.raises(LogError, match=f"entry {at}: "):
        audit(space)


def test_entries_that_are_too_long_cannot_be_written(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path / "log", create=True, signer=Signer.generate("test"))
    ledger.append([bytes(65_535)])
    with pytest.raises(LogError, match="65535"):
        ledger.append([bytes(65_536)])
    assert ledger.audit().size == 1


def test_unknown_kinds_are_passed_over(tmp_path: Path) -> None:
    space = workspace(tmp_path)
    provenance.register_human(images(1, "a"), space, cohort="a")
    with open_writer(space, None) as writer:
        writer.ledger.append([b'{"kind":"tomorrow","v":1}', b'{"kind":"origin","v":2}'])
    trail = provenance.open_trail(space)
    assert len(trail) == 1
    assert sum("does not know" in problem for problem in trail.problems) == 2


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 201, "\udcff"])
def test_names_that_no_entry_may_hold(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cohort"):
        provenance.register_human(images(1), workspace(tmp_path), cohort=name)


# ------------------------------------------------------------------------------------------------ sidecar


def test_changed_details_are_noticed_and_erased_ones_are_not_missed(tmp_path: Path) -> None:
    space = workspace(tmp_path)
    provenance.register_human(images(2, "a"), space, cohort="a", artist="Ada Adams")
    shas = images(2, "a").shas
    (found,) = provenance.open_trail(space).attestations(shas[:1], [])[0]
    assert found.artist == "Ada Adams"
    path = space.root / "detail.sqlite"
    good = path.read_bytes()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE detail SET body = replace(body, 'Ada Adams', 'Bob Brown')")
    connection.close()
    with pytest.raises(LogError, match=r"detail\.sqlite"):
        provenance.open_trail(space).attestations(shas, [])
    path.write_bytes(good)
    assert b"Ada Adams" in good
    provenance.withdraw(space, cohort="a")
    assert b"Ada Adams" not in path.read_bytes()
    provenance.register_human(images(2, "a"), space, cohort="a")
    (again,) = provenance.open_trail(space).attestations(shas[:1], [])[0]
    assert again.artist == ""
    path.unlink()
    assert len(provenance.open_trail(space).attestations(shas, [])) == 2
