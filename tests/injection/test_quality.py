"""Quality: PIQE as a labelled proxy, kept by digest; people's votes where they exist."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from pypiqe import piqe as published

from genepool.config import Config
from genepool.injection import _quality
from genepool.injection._pool import scanned
from genepool.injection._quality import Quality, measure_quality, no_quality, piqe
from genepool.store import ReviewRecord, Vote
from support.galleries import crops, write

CONFIG = Config().with_(engine__workers=1)


def test_piqe_is_the_published_one_and_falls_with_damage(photos):
    photo = np.ascontiguousarray(photos["astronaut"])[:256, :256]
    clean = piqe(photo)
    assert clean == pytest.approx(100 - published(np.ascontiguousarray(photo[..., ::-1]))[0])
    noisy = np.clip(photo + np.random.default_rng(0).normal(0, 25, photo.shape), 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(photo).save(buffer, "JPEG", quality=5)
    assert piqe(noisy) < clean - 10
    assert piqe(np.asarray(Image.open(buffer))) < clean - 10
    assert piqe(np.zeros((64, 64, 3), np.uint8)) == 0.0
    assert piqe(np.full((8, 8, 3), 90, np.uint8)) == 0.0


@pytest.fixture
def parts(tmp_path, photos):
    write(tmp_path / "set", crops(photos, 6, seed=1, side=96), "s")
    from genepool import dataset

    return [scanned(dataset.open(tmp_path / "set"), None, CONFIG)]


def test_it_is_measured_once(parts, monkeypatch):
    first = measure_quality(parts)
    assert first.name == "piqe (proxy)"
    assert first.measured.all()
    assert first.scale == 100

    def never(_):
        raise AssertionError("measured again")

    monkeypatch.setattr(_quality, "piqe", never)
    assert measure_quality(parts).values == pytest.approx(first.values)


def test_of_many_images_a_sample_is_measured_the_same_one_every_time(parts, monkeypatch):
    monkeypatch.setattr(_quality, "SAMPLE", 3)
    found = measure_quality(parts)
    assert found.measured.sum() == 3
    assert found.values[~found.measured] == pytest.approx(found.values[found.measured].mean())
    assert (measure_quality(parts).measured == found.measured).all()


def test_votes_of_people_come_first(parts):
    from genepool.review import load_ladder

    catalogue, place = parts[0]
    digests = [bytes(d).hex() for d in catalogue.table(["sha256"])["sha256"].to_pylist()]
    rungs = list(load_ladder().names)
    with ReviewRecord(place) as record:
        number = 0
        for i, digest in enumerate(digests):
            for k, rung in enumerate(rungs):
                outcome = "a" if (i + k) % len(digests) < i + 1 else "b"
                record.add_vote(Vote(digest, rung, outcome, "Ann", 1.7e9 + number), nonce=str(number))
                number += 1
    found = measure_quality(parts)
    assert found.name == "votes"
    assert found.scale == 10
    assert ((found.values > 0) & (found.values < 10)).all()


def test_without_pypiqe_nothing_is_measured_and_it_says_so(parts, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pypiqe", None)
    found = measure_quality(parts)
    assert not found.known
    assert "genepool[inject]" in found.note
    assert found.change(np.array([0, 1]), np.array([2])) is None


def test_the_change_has_an_interval_only_where_something_was_not_measured():
    rng = np.random.default_rng(0)
    values = rng.normal(60, 10, 400)
    whole = Quality("q", 100, values, np.ones(400, bool))
    before, after = np.arange(400), np.arange(200, 400)
    change = whole.change(before, after)
    assert change.value == change.lower == change.upper
    assert change.value == pytest.approx(values[200:].mean() - values.mean())
    # Half of them measured: the interval covers the true change about as often as it says.
    covered = 0
    for trial in range(200):
        seen = np.random.default_rng(trial).random(400) < 0.5
        part = Quality("q", 100, values, seen).change(before, after)
        covered += part.lower <= change.value <= part.upper
    assert covered >= 180
    assert no_quality(3, "why").change(np.array([0]), np.array([1])) is None
