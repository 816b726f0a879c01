"""Copies found partition by partition are those found in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from genepool import dataset
from genepool.config import Config
from genepool.diversity import _duplicates, _partitioned, catalogue_copies, find_copies, near_duplicates
from genepool.diversity._partitioned import Partitioned, _Forest
from genepool.engine import LocalEngine
from genepool.errors import MeasureError
from genepool.scan import scan


def inline(folder: Path, rows: int) -> Partitioned:
    """The same stages in this process: what is compared here is the result, not the engine."""
    return Partitioned(LocalEngine(inline=True), folder, rows=rows)


def planted(n: int, seed: int, *, border: float = 0.0) -> np.ndarray:
    """Random hashes; a third are copies of others with 0 to 30 flipped bits; some share a blank border."""
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 256, (n, 32), dtype=np.uint8)
    if border:
        hashes[rng.random(n) < border, :12] = 0
    copies = rng.choice(n, n // 3, replace=False)
    for i in copies.tolist():
        bits = np.unpackbits(hashes[rng.integers(n)])
        bits[rng.choice(256, rng.integers(0, 31), replace=False)] ^= 1
        hashes[i] = np.packbits(bits)
    return hashes


@pytest.mark.parametrize(("n", "radius"), [(0, 24), (1, 24), (700, 24), (6000, 24), (6000, 0)])
def test_labels_are_those_in_memory(tmp_path: Path, n: int, radius: int) -> None:
    hashes = planted(n, n + radius)
    found = inline(tmp_path, 2500).near_duplicates(hashes, radius)
    expected = near_duplicates(hashes, radius)
    assert np.array_equal(found, expected)
    if n > 1:
        assert len(np.unique(expected)) < n  # there was something to find
    assert list(tmp_path.iterdir()) == []


def test_crowded_bands_are_cut_without_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the hashes agree in six bands: buckets are split by a second band, some by neighbours."""
    monkeypatch.setattr(_duplicates, "_BRUTE", 0)
    monkeypatch.setattr(_duplicates, "_CROWD", 60)
    hashes = planted(3000, 4, border=0.5)
    assert np.array_equal(inline(tmp_path, 1600).near_duplicates(hashes), near_duplicates(hashes))


def test_byte_strings_and_every_size_of_partition(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_duplicates, "_BRUTE", 0)
    hashes = planted(500, 5)
    for rows in (200, 500):
        found = inline(tmp_path, rows).near_duplicates([h.tobytes() for h in hashes])
        assert np.array_equal(found, near_duplicates(hashes)), rows


def test_files_between_the_passes_stay_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixteen bands, at most three slices each, from at most three files."""
    monkeypatch.setattr(_duplicates, "_BRUTE", 0)
    monkeypatch.setattr(_partitioned, "_SLICES", 3)
    asked: list[tuple[int, int]] = []
    real = _partitioned.exchange

    def exchanged(engine: Any, folder: Path, inputs: Any, *rest: Any) -> Any:
        asked.append((len(inputs["rows"]), rest[-1]))
        return real(engine, folder, inputs, *rest)

    monkeypatch.setattr(_partitioned, "exchange", exchanged)
    hashes = planted(1000, 8)
    assert np.array_equal(inline(tmp_path, 10).near_duplicates(hashes), near_duplicates(hashes))
    assert [files <= 3 for files, _ in asked] == [True, True]
    assert [partitions for _, partitions in asked] == [3, 48]


def test_copies_of_every_kind_are_equal(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    hashes = planted(5000, 6)
    digests = rng.integers(0, 256, (5000, 32), dtype=np.uint8)[rng.integers(0, 4000, 5000)]
    pixels = [d.tobytes() for d in digests[rng.permutation(5000)]]
    area = rng.integers(1, 5, 5000)
    here = find_copies(hashes, sha256=digests, pixel=pixels, area=area)
    there = find_copies(hashes, sha256=digests, pixel=pixels, area=area, by=inline(tmp_path, 1000))
    for name in ("labels", "keep", "kinds"):
        assert np.array_equal(getattr(here, name), getattr(there, name)), name
    assert here.why == there.why
    assert here.counts()["bytes"] > 0 < here.counts()["looks"]


def test_the_forest_stays_small() -> None:
    """Links that come again and again are pressed into a spanning forest."""
    forest = _Forest(1000)
    rng = np.random.default_rng(7)
    first, second = rng.integers(0, 500, (2, 600_000))
    for _ in range(5):
        forest.link(first, second)
        assert forest.count <= 2 * 1000 + 1_000_000
    labels = _duplicates.components(1000, *forest.links())
    assert np.array_equal(labels, _duplicates.components(1000, first, second))


def test_what_are_not_hashes(tmp_path: Path) -> None:
    with pytest.raises(MeasureError, match="32 bytes"):
        inline(tmp_path, 10).near_duplicates([b"\0" * 31] * 20)
    with pytest.raises(MeasureError, match="0 to 64"):
        inline(tmp_path, 10).near_duplicates(planted(20, 1), 65)
    assert list(tmp_path.iterdir()) == []


def test_a_check_above_the_threshold_goes_to_the_disk(
    tmp_path: Path, photos: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The configured engine, worker processes and all, on a scanned set of pictures with copies."""
    config = Config().with_(
        diversity__embedder="classical",
        detection__detector="none",
        engine__workers=1,
        engine__partition_above=1,
    )
    folder = tmp_path / "set"
    folder.mkdir()
    for i, photo in enumerate(photos.values()):
        image = Image.fromarray(np.asarray(photo)[..., :3]).resize((160, 120))
        image.save(folder / f"{i}.png")
        image.save(folder / f"{i}-again.jpg", quality=90)
    opened = dataset.open(folder, workspace=tmp_path / "space")
    catalogue = scan(opened, config=config)
    asked: list[int] = []
    real = Partitioned.near_duplicates
    monkeypatch.setattr(
        Partitioned, "near_duplicates", lambda self, *a: asked.append(len(a[0])) or real(self, *a)
    )
    monkeypatch.setattr(_duplicates, "_BRUTE", 0)  # in this process only: the bands are looked at as well
    there = catalogue_copies(catalogue, config=config)
    assert asked == [catalogue.n]
    here = catalogue_copies(catalogue)
    assert asked == [catalogue.n]
    assert np.array_equal(here.labels, there.labels)
    assert len(here.redundant) > 0
