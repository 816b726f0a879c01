"""Proof files, the sidecar's file and hostile lineages: no change passes, nothing is its own ancestor."""

from __future__ import annotations

import sqlite3
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from genepool import provenance
from genepool.config import Config
from genepool.errors import GenepoolError, IntegrityError, LogError
from genepool.origin import settle
from genepool.provenance import Ledger, Proof, Signer
from genepool.provenance._entries import encode
from genepool.provenance._writer import open_writer
from genepool.store import Workspace
from support.ledgers import digest, images, workspace
from support.scans import encoded, picture, scanned

KEY = Signer("example.org/log", bytes(range(32)))


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    log = Ledger.open(tmp_path / "log", create=True, signer=KEY, origin=KEY.name)
    log.append([b"entry %d" % i for i in range(300)])
    return log


# -------------------------------------------------------------------------------------------- proof files


def flip_proof(ledger: Ledger, positions: range, bits: range) -> None:
    good = ledger.prove(259).encode()
    assert Proof.parse(good).verify(None, [KEY.verifier], origin=ledger.origin).size == 300
    for at in positions if positions else range(len(good)):
        for bit in bits:
            bad = good[:at] + bytes([good[at] ^ 1 << bit]) + good[at + 1 :]
            with pytest.raises(IntegrityError):
                Proof.parse(bad).verify(None, [KEY.verifier], origin=ledger.origin)


def test_every_changed_byte_of_a_proof_file_is_refused(ledger: Ledger) -> None:
    flip_proof(ledger, range(0), range(0, 8, 5))


@pytest.mark.soak
def test_every_flipped_bit_of_a_proof_file_is_refused(ledger: Ledger) -> None:
    flip_proof(ledger, range(0), range(8))


def test_a_proof_is_one_entry_at_one_place(ledger: Ledger) -> None:
    proof = ledger.prove(7)
    keys = [KEY.verifier]
    with pytest.raises(LogError):
        proof.verify(b"entry 8", keys)
    for index in (6, 8, 7 + 256, 299):
        with pytest.raises(LogError):
            Proof(index, proof.hashes, proof.checkpoint, proof.extra).verify(None, keys)
    other = ledger.prove(8)
    with pytest.raises(LogError):
        Proof(7, other.hashes, proof.checkpoint, proof.extra).verify(None, keys)
    for hashes in (proof.hashes[:-1], (*proof.hashes, bytes(32)), proof.hashes[::-1]):
        with pytest.raises(LogError):
            Proof(7, hashes, proof.checkpoint, proof.extra).verify(None, keys)
    with pytest.raises(LogError):
        proof.verify(None, keys, origin="example.org/other")


def test_a_proof_under_an_older_head_still_holds_and_a_foreign_head_does_not(ledger: Ledger) -> None:
    old = ledger.prove(7)
    ledger.append([b"more"] * 30)
    assert old.verify(None, [KEY.verifier]).size == 300
    new = ledger.prove(7)
    with pytest.raises(LogError):
        Proof(7, old.hashes, new.checkpoint, old.extra).verify(None, [KEY.verifier])


def test_a_claim_about_one_image_says_nothing_about_another(tmp_path: Path) -> None:
    """A record is found by the digests of what one holds, never by what a proof or a name says."""
    space = workspace(tmp_path)
    provenance.register_human(images(1, "mine"), space, cohort="mine")
    trail = provenance.open_trail(space)
    other = images(1, "other")
    assert trail.attestations(other.shas, other.pixels) == [()]
    half = digest("mine-0.png")[:8] + digest("other")[8:]  # the same first bytes, as the index compares them
    assert trail.attestations([half], [half]) == [()]


# ---------------------------------------------------------------------------------------- strange names


@pytest.mark.parametrize("name", ["0", "256", "-1", "0300", "1e2", "44.tmp", "x"])
def test_files_that_are_no_part_of_a_log_do_not_disturb_it(ledger: Ledger, name: str) -> None:
    for folder in ("tile/0/001.p", "tile/entries/001.p"):
        (ledger.path / folder / name).write_bytes(b"\xff" * 70)
    assert Ledger.open(ledger.path, verifiers=[KEY.verifier]).audit().size == 300
    ledger.append([b"more"] * 3)
    assert ledger.audit().size == 303


# ------------------------------------------------------------------------------------------- the sidecar


def test_a_flipped_byte_of_the_sidecar_never_changes_a_detail(tmp_path: Path) -> None:
    space = workspace(tmp_path)
    provenance.register_human(images(6, "a"), space, cohort="a", artist="Ada Adams")
    path = space.root / "detail.sqlite"
    good = path.read_bytes()
    before = provenance.Sidecar(space.root).load()
    assert len(before) == 6
    noticed = 0
    for at in range(0, len(good), 61):
        path.write_bytes(good[:at] + bytes([good[at] ^ 1 << at % 8]) + good[at + 1 :])
        try:
            found = provenance.Sidecar(space.root).load()
        except GenepoolError:
            noticed += 1
        else:
            # A change may make SQLite lose a row (that reads as erased), never show another one.
            assert all(before[det] == detail for det, detail in found.items())
    assert noticed > 5


def test_details_of_two_images_cannot_be_swapped(tmp_path: Path) -> None:
    space = workspace(tmp_path)
    provenance.register_human(images(2, "a"), space, cohort="a", artist="Ada Adams")
    with sqlite3.connect(space.root / "detail.sqlite") as connection:
        rows = connection.execute("SELECT det, salt, body FROM detail").fetchall()
        connection.execute("DELETE FROM detail")
        (one, two) = rows
        connection.execute("INSERT INTO detail VALUES (?, ?, ?)", (one[0], two[1], two[2]))
    connection.close()
    with pytest.raises(LogError, match="does not have the hash"):
        provenance.Sidecar(space.root).load()


# ---------------------------------------------------------------------------------------- hostile lineages


def seal(space: Workspace, role: str, *bodies: dict[str, Any], **predicate: str) -> None:
    """Sealed entries as a program other than genepool might write them."""
    with open_writer(space, None) as writer:
        writer.append([encode(body) for body in bodies], role, predicate)


def test_a_model_that_claims_to_be_trained_on_itself_has_no_upper_end(tmp_path: Path) -> None:
    space = workspace(tmp_path)
    model = {"kind": "model", "at": 1, "gen": [0, 0]}

    def on(name: str, kind: str = "model") -> list[dict[str, Any]]:
        return [{"kind": kind, "ppm": None, "ref": name}]

    seal(
        space,
        "model",
        {**model, "name": "ouroboros", "trained_on": on("ouroboros")},
        {**model, "name": "left", "trained_on": on("right")},
        {**model, "name": "right", "trained_on": on("left")},
        {**model, "name": "base", "trained_on": on("nobody", "cohort"), "base": "base"},
    )
    trail = provenance.open_trail(space)
    assert {name: found.generation[1] for name, found in trail.models.items()} == dict.fromkeys(
        ("ouroboros", "left", "right", "base")
    )
    assert all(found.generation[0] >= 1 for found in trail.models.values())


def test_a_claim_below_the_computed_generation_does_not_lower_it(tmp_path: Path) -> None:
    space = workspace(tmp_path)
    provenance.register_human(images(2, "a"), space, cohort="a")
    provenance.register_model(space, "one", [("a", 1.0)])
    seal(
        space,
        "model",
        {
            "kind": "model",
            "at": 1,
            "gen": [0, 0],
            "name": "young",
            "trained_on": [{"kind": "model", "ppm": None, "ref": "one"}],
        },
    )
    trail = provenance.open_trail(space)
    assert trail.models["young"].generation == (2, 2)
    assert any("'young'" in problem and "at least 2" in problem for problem in trail.problems)


def test_images_in_a_ring_of_logged_parents_are_never_settled_as_young(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.png").write_bytes(encoded(picture(number), "PNG"))
    space = workspace(tmp_path, "w")
    catalogue = scanned(folder, space.root)
    shas = [sha256((folder / f"{n}.png").read_bytes()).hexdigest() for n in range(3)]
    body = {
        "kind": "origin",
        "gen": [0, 0],
        "origin": "human_made",
        "pix": "00" * 32,
        "role": "attest",
        "cohort": "ring",
    }
    ring = [{**body, "sha256": sha, "parents": [shas[(n + 1) % 2]]} for n, sha in enumerate(shas[:2])]
    own = {**body, "sha256": shas[2], "parents": [shas[2]]}
    seal(space, "attest", *ring, own, cohort="ring", dataset="", model="", origin="human_made")
    table = settle(catalogue, space, Config())
    rows = table.to_pylist()
    assert [(row["status"], row["human"]) for row in rows] == [("disputed", False)] * 3
    assert all("its own ancestor" in row["reasons"] for row in rows)
