"""Trees, proofs and tiles against the recursive definitions of RFC 6962 section 2.1."""

from __future__ import annotations

import tempfile
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genepool.errors import LogError
from genepool.provenance import Ledger, Proof, Signer
from genepool.provenance._merkle import (
    consistency_proof,
    inclusion_proof,
    leaf_hashes,
    memory_fetch,
    range_hash,
    root,
    verify_consistency,
    verify_inclusion,
)
from genepool.provenance._tiles import decode_bundle, encode_bundle

SIGNER = Signer("test", bytes(range(32)))


def naive_root(entries: list[bytes]) -> bytes:
    """MTH of RFC 6962, word for word."""
    if not entries:
        return sha256(b"").digest()
    if len(entries) == 1:
        return sha256(b"\0" + entries[0]).digest()
    k = 1
    while k * 2 < len(entries):
        k *= 2
    return sha256(b"\1" + naive_root(entries[:k]) + naive_root(entries[k:])).digest()


def naive_path(m: int, entries: list[bytes]) -> list[bytes]:
    """PATH of RFC 6962, word for word."""
    if len(entries) == 1:
        return []
    k = 1
    while k * 2 < len(entries):
        k *= 2
    if m < k:
        return [*naive_path(m, entries[:k]), naive_root(entries[k:])]
    return [*naive_path(m - k, entries[k:]), naive_root(entries[:k])]


def naive_subproof(m: int, entries: list[bytes], whole: bool) -> list[bytes]:
    """SUBPROOF of RFC 6962, word for word."""
    if m == len(entries):
        return [] if whole else [naive_root(entries)]
    k = 1
    while k * 2 < len(entries):
        k *= 2
    if m <= k:
        return [*naive_subproof(m, entries[:k], whole), naive_root(entries[k:])]
    return [*naive_subproof(m - k, entries[k:], False), naive_root(entries[:k])]


leaves = st.lists(st.binary(max_size=6), min_size=1, max_size=70)


@given(leaves, st.data())
def test_root_and_proofs_are_those_of_the_definition(entries: list[bytes], data: st.DataObject) -> None:
    hashes = leaf_hashes(entries)
    fetch = memory_fetch(hashes)
    size = len(entries)
    assert root(hashes) == naive_root(entries) == range_hash(0, size, fetch)
    index = data.draw(st.integers(0, size - 1))
    path = inclusion_proof(index, size, fetch)
    assert path == naive_path(index, entries)
    verify_inclusion(index, size, hashes[32 * index : 32 * index + 32], path, root(hashes))
    old = data.draw(st.integers(1, size))
    proof = consistency_proof(old, size, fetch)
    assert proof == naive_subproof(old, entries, True)
    verify_consistency(old, size, naive_root(entries[:old]), root(hashes), proof)


@given(st.integers(2, 70), st.data())
def test_any_change_of_a_proof_is_refused(size: int, data: st.DataObject) -> None:
    hashes = leaf_hashes([bytes([i]) for i in range(size)])
    fetch, whole = memory_fetch(hashes), root(hashes)
    index = data.draw(st.integers(0, size - 1))
    leaf, path = hashes[32 * index : 32 * index + 32], inclusion_proof(index, size, fetch)
    step, bit = data.draw(st.integers(0, len(path) - 1)), data.draw(st.integers(0, 255))
    flipped = bytearray(path[step])
    flipped[bit // 8] ^= 1 << bit % 8
    wrong = [
        (index, size, leaf, [*path[:step], bytes(flipped), *path[step + 1 :]], whole),
        (index, size, leaf, [*path, path[-1]], whole),
        (index, size, leaf, path[:-1], whole),
        ((index + 1) % size, size, leaf, path, whole),
        (index, size, leaf, path, sha256(whole).digest()),
        (index, size, sha256(leaf).digest(), path, whole),
    ]
    for arguments in wrong:
        with pytest.raises(LogError):
            verify_inclusion(*arguments)
    old = data.draw(st.integers(1, size - 1))
    proof = consistency_proof(old, size, fetch)
    before = root(hashes[: 32 * old])
    step = data.draw(st.integers(0, len(proof) - 1))
    flipped = bytearray(proof[step])
    flipped[bit // 8] ^= 1 << bit % 8
    for bad in ([*proof[:step], bytes(flipped), *proof[step + 1 :]], [*proof, proof[0]], proof[:-1]):
        with pytest.raises(LogError):
            verify_consistency(old, size, before, whole, bad)


@given(st.lists(st.binary(max_size=300), max_size=256))
def test_bundles_read_back(entries: list[bytes]) -> None:
    data = encode_bundle(entries)
    assert decode_bundle(data, len(entries), "bundle") == entries
    with pytest.raises(LogError, match="bundle: expected"):
        decode_bundle(data + b"\0", len(entries), "bundle")
    with pytest.raises(LogError, match="bundle: expected"):
        decode_bundle(data, len(entries) + 1, "bundle")
    if data:
        with pytest.raises(LogError, match="bundle: expected"):
            decode_bundle(data[:-1], len(entries), "bundle")


@settings(max_examples=15)
@given(st.lists(st.integers(0, 400), min_size=1, max_size=5))
def test_the_log_does_not_depend_on_how_it_was_batched(batches: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        split = Ledger.open(Path(folder, "split"), create=True, signer=SIGNER, origin="test")
        total = 0
        for count in batches:
            split.append(str(i).encode() for i in range(total, total + count))
            total += count
        entries = [str(i).encode() for i in range(total)]
        whole = Ledger.open(Path(folder, "whole"), create=True, signer=SIGNER, origin="test")
        whole.append(entries)
        assert split.signed_checkpoint() == whole.signed_checkpoint()
        assert split.root == naive_root(entries)
        assert split.audit().size == total
        assert list(split.entries()) == entries
        for path in Path(folder, "whole", "tile").rglob("*"):
            if path.is_file():
                same = Path(folder, "split", path.relative_to(Path(folder, "whole")))
                assert same.read_bytes() == path.read_bytes()


@settings(max_examples=25)
@given(st.integers(1, 700), st.data())
def test_proofs_from_tiles_read_back_and_verify(size: int, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger.open(Path(folder, "log"), create=True, signer=SIGNER, origin="test")
        ledger.append(str(i).encode() for i in range(size))
        index = data.draw(st.integers(0, size - 1))
        proof = ledger.prove(index)
        assert Proof.parse(proof.encode()) == proof
        assert proof.verify(None, [ledger.verifier]).size == size
        assert ledger.entry(index) == str(index).encode()
        old = data.draw(st.integers(1, size))
        assert ledger.root_at(old) == root(leaf_hashes(str(i).encode() for i in range(old)))
