"""Copies of every kind in one clustering: which image stays, and why."""

from __future__ import annotations

import numpy as np
import pytest

from genepool.diversity import _copies, find_copies
from genepool.errors import MeasureError, MissingExtra


def hashes(n, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, 32), dtype=np.uint8)


def test_every_look_links_and_the_surest_is_named():
    phash = hashes(10)
    phash[1] = phash[0]  # looks
    sha = [bytes([i]) * 32 for i in range(10)]
    sha[3] = sha[2]  # bytes
    pixel = [bytes([50 + i]) * 32 for i in range(10)]
    pixel[5], pixel[3] = pixel[4], pixel[2]
    vectors = np.random.default_rng(1).normal(size=(10, 64))
    vectors[7] = vectors[6] + 0.01
    found = find_copies(phash, sha256=sha, pixel=pixel, vectors=vectors)
    assert found.labels.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 5]
    assert [_copies.KINDS[k] if k >= 0 else "" for k in found.kinds] == [
        *["looks"] * 2,
        *["bytes"] * 2,
        *["pixels"] * 2,
        *["embedding"] * 2,
        *[""] * 2,
    ]
    assert found.counts() == {"bytes": 1, "pixels": 1, "looks": 1, "embedding": 1}
    assert found.weights.tolist() == [0.5] * 8 + [1.0] * 2
    assert found.redundant.tolist() == [1, 3, 5, 7]


def test_digests_in_an_array_are_compared_like_byte_strings():
    rng = np.random.default_rng(11)
    # Few values in the first word: rows tie there and are told apart by the later ones.
    rows = rng.integers(0, 3, (400, 32), dtype=np.uint8)
    rows[:, 8:] *= rng.integers(0, 2, (400, 1), dtype=np.uint8)
    looks = rng.integers(0, 256, (400, 32), dtype=np.uint8)
    digests = rows[rng.integers(0, 120, 400)]
    listed = find_copies(list(map(bytes, looks)), sha256=list(map(bytes, digests)))
    found = find_copies(looks, sha256=digests)
    assert np.array_equal(found.labels, listed.labels)
    assert np.array_equal(found.keep, listed.keep)
    assert np.array_equal(found.kinds, listed.kinds)
    first = {d: i for i, d in reversed(list(enumerate(map(bytes, digests))))}
    assert len(found.redundant) == 400 - len(first) > 200


def test_links_of_different_looks_chain():
    phash = hashes(3)
    phash[1] = phash[0]
    vectors = np.eye(3, 8)
    vectors[2] = vectors[1]
    assert find_copies(phash, vectors=vectors).labels.tolist() == [0, 0, 0]


def test_what_is_kept_and_why():
    phash = np.repeat(hashes(1), 4, axis=0)
    human = np.array([False, False, True, False])
    area, size = np.array([9, 9, 1, 4]), np.array([5, 7, 1, 9])
    found = find_copies(phash, human=human, area=area, size=size)
    assert set(found.keep.tolist()) == {2}
    assert set(found.why) == {"verified human"}
    found = find_copies(phash, area=area, size=size)
    assert (set(found.keep.tolist()), set(found.why)) == ({1}, {"largest file"})
    found = find_copies(phash, area=np.array([9, 8, 1, 4]))
    assert (set(found.keep.tolist()), set(found.why)) == ({0}, {"most pixels"})
    found = find_copies(phash)
    assert (set(found.keep.tolist()), set(found.why)) == ({0}, {"first by name"})
    assert find_copies(hashes(2)).why == ("", "")


def test_rows_without_a_vector_are_nobodys_copies():
    vectors = np.zeros((4, 8))
    vectors[0, 0] = 1
    assert find_copies(hashes(4), vectors=vectors).labels.tolist() == [0, 1, 2, 3]


def test_the_index_finds_what_every_pair_would(monkeypatch):
    pytest.importorskip("faiss")
    rng = np.random.default_rng(2)
    x = rng.normal(size=(1500, 32))
    x[750:] = x[:750] + 0.05 * rng.normal(size=(750, 32))
    every = find_copies(hashes(1500), vectors=x).labels
    monkeypatch.setattr(_copies, "_EVERY_PAIR", 10)
    indexed = find_copies(hashes(1500), vectors=x).labels
    assert (every[:750] == every[750:]).all()
    assert (indexed[:750] == indexed[750:]).mean() > 0.99
    assert len(np.unique(indexed[:750])) == 750


def test_many_vectors_without_faiss_name_the_extra(monkeypatch):
    import sys

    monkeypatch.setattr(_copies, "_EVERY_PAIR", 3)
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(MissingExtra, match="faiss") as caught:
        find_copies(hashes(5), vectors=np.eye(5))
    assert "genepool[dedup]" in caught.value.hint


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"vectors": np.eye(3)}, "beside vectors"),
        ({"vectors": np.full((5, 4), np.nan)}, "NaN"),
        ({"human": np.ones(4, bool)}, "human"),
        ({"sha256": [b"x"]}, "sha256"),
        ({"cosine": 0.0}, "cosine"),
    ],
)
def test_bad_input_is_refused(options, message):
    with pytest.raises(MeasureError, match=message):
        find_copies(hashes(5), **options)
