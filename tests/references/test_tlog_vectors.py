"""Published vectors: RFC 6962 roots, transparency-dev/merkle proofs, Tessera's log, Go's signed note."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import pytest

from genepool.errors import LogError, SignatureError
from genepool.provenance import Ledger, Signer, Verifier
from genepool.provenance._merkle import (
    consistency_proof,
    inclusion_proof,
    leaf_hashes,
    memory_fetch,
    root,
    verify_consistency,
    verify_inclusion,
)
from genepool.provenance._note import open_note, sign_note
from genepool.provenance._tiles import tile_path

VECTORS = Path(__file__).parents[2].parent / "shared" / "data" / "vectors"

# The eight leaves and roots that the Certificate Transparency implementations test with.
LEAVES = [
    bytes.fromhex(x)
    for x in [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ]
]
ROOTS = {
    0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    4: "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    5: "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    6: "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}


def test_rfc6962_roots() -> None:
    for size, expected in ROOTS.items():
        assert root(leaf_hashes(LEAVES[:size])).hex() == expected


def test_rfc6962_proofs_lead_to_the_published_roots() -> None:
    hashes = leaf_hashes(LEAVES)
    fetch = memory_fetch(hashes)
    whole = bytes.fromhex(ROOTS[8])
    for index in range(8):
        leaf = hashes[32 * index : 32 * index + 32]
        verify_inclusion(index, 8, leaf, inclusion_proof(index, 8, fetch), whole)
    for old in (1, 2, 3, 4, 5, 6, 8):
        verify_consistency(old, 8, bytes.fromhex(ROOTS[old]), whole, consistency_proof(old, 8, fetch))


# The example of golang.org/x/mod/sumdb/note, whose format C2SP signed-note describes.
NEUMANN = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
NEUMANN_KEY = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
NEUMANN_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"


def test_signed_note_example_of_go() -> None:
    signer = Signer.parse(NEUMANN_KEY)
    assert signer.verifier.vkey == NEUMANN_VKEY
    assert signer.text() == NEUMANN_KEY
    text = NEUMANN.split("\n\n")[0] + "\n"
    assert sign_note(text, [signer]).decode() == NEUMANN
    assert open_note(NEUMANN.encode(), [Verifier.parse(NEUMANN_VKEY)]).text == text
    with pytest.raises(SignatureError, match="does not verify"):
        open_note(NEUMANN.replace("your", "my").encode(), [signer.verifier])


def test_tile_path_of_the_specification() -> None:
    assert tile_path(0, 1234067) == "tile/0/x001/x234/067"
    assert tile_path(3, 0, 1) == "tile/3/000.p/1"


# ------------------------------------------------------------------------- with the vectors of ../shared


def _cases(kind: str) -> list[Path]:
    return sorted((VECTORS / "merkle" / kind).rglob("*.json"))


def _needs_vectors() -> None:
    if not VECTORS.is_dir():
        pytest.skip("the published vectors (../shared/data/vectors) are not here")


def _decoded(value: str | None) -> bytes:
    return base64.b64decode(value) if value else b""


@pytest.mark.shared
def test_merkle_inclusion_vectors() -> None:
    _needs_vectors()
    cases = _cases("inclusion")
    assert len(cases) == 98
    for path in cases:
        case = json.loads(path.read_text())
        proof = [_decoded(step) for step in case["proof"] or []]
        wrong = False
        try:
            verify_inclusion(
                case["leafIdx"], case["treeSize"], _decoded(case["leafHash"]), proof, _decoded(case["root"])
            )
        except LogError:
            wrong = True
        assert wrong == case["wantErr"], path


@pytest.mark.shared
def test_merkle_consistency_vectors() -> None:
    _needs_vectors()
    cases = _cases("consistency")
    assert len(cases) == 98
    for path in cases:
        case = json.loads(path.read_text())
        proof = [_decoded(step) for step in case["proof"] or []]
        wrong = False
        try:
            verify_consistency(
                case["size1"], case["size2"], _decoded(case["root1"]), _decoded(case["root2"]), proof
            )
        except LogError:
            wrong = True
        assert wrong == case["wantErr"], path


@pytest.mark.shared
def test_tessera_log_byte_for_byte(tmp_path: Path) -> None:
    _needs_vectors()
    theirs = VECTORS / "tessera" / "log"
    script = (VECTORS / "tessera" / "build_log.sh").read_text()
    found = re.search(r'LOG_PRIVATE_KEY="([^"]+)"', script)
    words = re.search(r"for i in ([a-z ]+);", script)
    assert found is not None
    assert words is not None
    signer = Signer.parse(found[1])
    ours = tmp_path / "log"
    ledger = Ledger.open(ours, create=True, signer=signer, origin=signer.name)
    assert (ours / "checkpoint").read_bytes() == (theirs / "checkpoint.0").read_bytes()
    for size, word in enumerate(words[1].split(), 1):
        ledger.append([word.encode()])
        assert (ours / "checkpoint").read_bytes() == (theirs / f"checkpoint.{size}").read_bytes()
    files = [
        path.relative_to(theirs) for path in theirs.rglob("*") if path.is_file() and "tile" in path.parts
    ]
    assert len(files) == 30
    for path in files:
        assert (ours / path).read_bytes() == (theirs / path).read_bytes(), path


@pytest.mark.shared
def test_tessera_log_is_read_and_proven() -> None:
    _needs_vectors()
    script = (VECTORS / "tessera" / "build_log.sh").read_text()
    found = re.search(r'LOG_PUBLIC_KEY="([^"]+)"', script)
    assert found is not None
    verifier = Verifier.parse(found[1])
    ledger = Ledger.open(VECTORS / "tessera" / "log", verifiers=[verifier])
    assert ledger.audit().size == ledger.size == 15
    for index in range(15):
        ledger.prove(index).verify(None, [verifier], origin="example.com/log/testdata")
    for old in range(1, 16):
        assert ledger.consistency(old)[0] == ledger.root_at(old)
