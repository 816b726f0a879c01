"""Near-duplicates: exact answers on planted copies, real edits, scale."""

from __future__ import annotations

import time

import numpy as np
import pytest
from PIL import Image, ImageOps

from genepool.diversity import cluster_weights, near_duplicates, redundant_share
from genepool.errors import MeasureError
from genepool.scan import perceptual_hash
from support.views import view


def flipped(rng, row, bits):
    mask = np.zeros(256, np.uint8)
    mask[rng.choice(256, bits, replace=False)] = 1
    return row ^ np.packbits(mask)


def test_labels_are_numbered_by_first_appearance():
    a, b = bytes(32), bytes([255] * 32)
    assert near_duplicates([b, a, b, a, b]).tolist() == [0, 1, 0, 1, 0]
    assert near_duplicates([]).tolist() == []


def test_the_radius_is_kept_to_the_bit():
    rng = np.random.default_rng(0)
    row = rng.integers(0, 256, 32, dtype=np.uint8)
    for bits in (1, 10, 23, 24, 25, 40):
        pair = np.stack((row, flipped(rng, row, bits)))
        for radius in (0, 1, 24, 25, 64):
            assert (near_duplicates(pair, radius)[0] == near_duplicates(pair, radius)[1]) == (bits <= radius)


def test_links_reach_through_a_third_copy():
    rng = np.random.default_rng(1)
    a = rng.integers(0, 256, 32, dtype=np.uint8)
    b = flipped(rng, a, 20)
    c = b.copy()
    c[:3] ^= 255  # 24 further bits
    assert near_duplicates(np.stack((a, b, c))).tolist() == [0, 0, 0]


def test_bands_find_what_every_pair_would(monkeypatch):
    from genepool.diversity import _duplicates

    rng = np.random.default_rng(2)
    originals = rng.integers(0, 256, (3000, 32), dtype=np.uint8)
    copies = np.stack([flipped(rng, originals[i], int(rng.integers(1, 25))) for i in range(3000)])
    every = np.concatenate((originals, copies))
    labels = near_duplicates(every)  # above the limit: banded
    found = (labels[:3000] == labels[3000:]).mean()
    assert found > 0.99
    assert len(np.unique(labels[:3000])) == 3000
    monkeypatch.setattr(_duplicates, "_BRUTE", 10_000)
    exact = near_duplicates(every)
    assert (exact[:3000] == exact[3000:]).all()
    # Up to 15 flipped bits one of 16 bands is untouched: nothing may be missed.
    monkeypatch.setattr(_duplicates, "_BRUTE", 0)
    close = np.stack([flipped(rng, row, 15) for row in originals])
    labels = near_duplicates(np.concatenate((originals, close)), radius=15)
    assert (labels[:3000] == labels[3000:]).all()


def test_crowded_bands_still_find_their_copies(monkeypatch):
    from genepool.diversity import _duplicates

    rng = np.random.default_rng(3)
    monkeypatch.setattr(_duplicates, "_BRUTE", 0)
    monkeypatch.setattr(_duplicates, "_CROWD", 50)
    rows = rng.integers(0, 256, (2000, 32), dtype=np.uint8)
    rows[:, :4] = 0  # all agree in two bands, as pictures with blank borders do
    copies = np.stack([np.concatenate((row[:4], flipped(rng, row, 0)[4:])) for row in rows])
    copies[:, 31] ^= 1
    labels = near_duplicates(np.concatenate((rows, copies)))
    assert (labels[:2000] == labels[2000:]).mean() > 0.999
    assert len(np.unique(labels)) == 2000


def test_crowded_bands_find_every_pair_fourteen_bits_apart(monkeypatch):
    """Fourteen bits touch fourteen of sixteen bands at most: two whole ones bring a pair together."""
    from genepool.diversity import _duplicates

    monkeypatch.setattr(_duplicates, "_BRUTE", 0)
    monkeypatch.setattr(_duplicates, "_CROWD", 40)
    rng = np.random.default_rng(9)
    some = rng.integers(0, 1 << 16, (8, 16), dtype=np.uint16)
    # Eight values a band, so 250 of 2000 hashes share each, but about 31 share any two.
    originals = some[rng.integers(0, 8, (2000, 16)), np.arange(16)]
    copies = originals.copy()
    for i in range(2000):  # the worst case: one bit in each of fourteen bands
        bands = rng.choice(16, 14, replace=False)
        copies[i, bands] ^= (1 << rng.integers(0, 16, 14)).astype(np.uint16)
    labels = near_duplicates(np.concatenate((originals, copies)).view(np.uint8), radius=14)
    assert (labels[:2000] == labels[2000:]).all()


def test_real_edits_are_found_and_different_pictures_are_not(photos):
    pictures = [Image.fromarray(p).convert("RGB") for p in photos.values()]
    edits = [
        (lambda im: im, {"quality": 40}),
        (lambda im: im.resize((im.width // 2, im.height // 2), Image.Resampling.BICUBIC), {}),
        (lambda im: ImageOps.posterize(im, 5), {}),
        (lambda im: im.point(lambda v: min(255, int(v * 1.1))), {}),
    ]
    hashes = [perceptual_hash(view(im).luma()) for im in pictures]
    for edit, options in edits:
        hashes += [perceptual_hash(view(edit(im), **options).luma()) for im in pictures]
    labels = near_duplicates(hashes).reshape(len(edits) + 1, -1)
    assert (labels == labels[0]).mean() >= 0.97
    assert len(np.unique(labels[0])) == len(pictures)


def test_weights_and_the_redundant_share():
    labels = np.array([0, 0, 1, 2, 2, 2])
    assert cluster_weights(labels).tolist() == pytest.approx([1 / 2, 1 / 2, 1, 1 / 3, 1 / 3, 1 / 3])
    assert redundant_share(labels) == 0.5
    with pytest.raises(MeasureError):
        redundant_share(np.zeros(0, int))


def test_a_hundred_thousand_hashes_take_seconds_at_most():
    rng = np.random.default_rng(4)
    rows = rng.integers(0, 256, (100_000, 32), dtype=np.uint8)
    rows[50_000:] = rows[:50_000]
    rows[50_000:, 5] ^= 3
    start = time.process_time()
    labels = near_duplicates(rows)
    assert time.process_time() - start < 5
    assert (labels[:50_000] == labels[50_000:]).all()
    assert redundant_share(labels) == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize("bad", [[b"short"], np.zeros((3, 31), np.uint8), np.zeros(32, np.uint8)])
def test_other_hashes_are_refused(bad):
    with pytest.raises(MeasureError, match="32"):
        near_duplicates(bad)


def test_a_radius_out_of_range_is_refused():
    with pytest.raises(MeasureError, match="0 to 64"):
        near_duplicates([bytes(32)], radius=65)
