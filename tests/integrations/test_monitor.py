"""The monitor sees a model forget, and is quiet about one that only learns."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from genepool.errors import MeasureError, UsageError
from genepool.integrations import CollapseMonitor, GatedDataset, as_pictures
from support.galleries import crops


@pytest.fixture(scope="module")
def pictures(photos) -> np.ndarray:
    return np.stack([np.asarray(image) for image in crops(photos, 240, seed=5, side=48)])


class Painter:
    """Repeats a training picture drawn from those that it still remembers, with a little grain."""

    def __init__(self, pictures):
        self.pictures, self.kept = pictures, len(pictures)
        self.rng = np.random.default_rng(0)

    def __call__(self, n):
        chosen = self.pictures[self.rng.integers(0, self.kept, n)].astype(np.int16)
        return np.clip(chosen + self.rng.integers(-1, 2, chosen.shape), 0, 255).astype(np.uint8)


def test_a_model_that_forgets_is_stopped(pictures, caplog):
    painter = Painter(pictures)
    monitor = CollapseMonitor(painter, pictures, every=10, n=160, keep=0.8)
    assert not monitor.step(10)
    assert not monitor.step(15)  # not yet time
    assert not monitor.step(20)
    painter.kept = 6
    with caplog.at_level(logging.WARNING, "genepool.integrations"):
        assert monitor.step(30)
    assert "the model degrades" in caplog.text
    healthy, _, sick = monitor.history
    assert sick.index.upper < healthy.index.lower
    assert sick.retention.upper < healthy.retention.lower
    assert 70 < healthy.retention.value < 130
    assert healthy.degraded == ()
    assert sick.to_json()["stop"] is True


def test_a_real_model_that_learns_from_itself_is_stopped(photos):
    """A generator trained on pictures, then on nothing but its own: the index falls, the monitor stops it."""
    torch = pytest.importorskip("torch")
    from genepool.lab import PictureVAE

    known = np.stack([np.asarray(image) for image in crops(photos, 160, seed=5, side=32)])
    model = PictureVAE(seed=1, latent=32)
    monitor = CollapseMonitor(lambda n: model.sample(n, seed=9), known, every=60, n=120, keep=0.9)

    def batches(pictures):
        planes = torch.from_numpy(pictures.transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1)
        rng = np.random.default_rng(0)
        return lambda: (planes[rng.permutation(len(planes))[at : at + 20]] for at in range(0, 160, 20))

    model.fit(batches(known), 180, on_step=monitor.step)
    assert not any(health.stop for health in monitor.history)
    for generation in range(4):
        model.fit(batches(model.sample(160, seed=20 + generation)), 60, on_step=monitor.step)
        if monitor.history[-1].stop:
            break
    assert monitor.history[-1].stop
    # Which measure falls first is the embedder's business; that one does, and is named, is the monitor's.
    assert monitor.history[-1].degraded[0].startswith(("style diversity index", "feature retention"))


def test_noise_is_no_diversity(pictures):
    rng = np.random.default_rng(1)
    monitor = CollapseMonitor(Painter(pictures), pictures, every=1, n=120)
    monitor.look(1)
    monitor._generate = lambda n: rng.integers(0, 256, (n, 48, 48, 3)).astype(np.uint8)
    health = monitor.look(2)
    assert health.stop
    assert health.index.value < 0.2
    assert health.retention.value < 10


def test_patience_and_warning_only(pictures):
    painter = Painter(pictures)
    patient = CollapseMonitor(painter, pictures, every=1, n=120, patience=2)
    warner = CollapseMonitor(painter, pictures, every=1, n=120, action="warn")
    for monitor in (patient, warner):
        painter.kept = len(pictures)
        assert not monitor.step(1)
        painter.kept = 4
        assert not monitor.step(2)
    assert patient.step(3)
    assert not warner.step(3)
    assert warner.history[-1].degraded


def test_a_gated_dataset_is_a_reference(shared_set):
    gated = GatedDataset(shared_set.folder, size=48)
    monitor = CollapseMonitor(Painter(gated.pictures(range(len(gated)), 48)), gated, every=1, n=60)
    assert monitor.look(1).retention.value > 60
    with pytest.raises(MeasureError, match="size=32"):
        CollapseMonitor(Painter, GatedDataset(shared_set.folder))


@pytest.mark.parametrize(
    "options", [{"every": 0}, {"n": 10}, {"keep": 1.0}, {"patience": 0}, {"action": "x"}]
)
def test_bad_numbers(pictures, options):
    with pytest.raises(UsageError, match="monitor"):
        CollapseMonitor(Painter(pictures), pictures, **options)


def test_forms_of_pictures():
    from PIL import Image

    expected = np.arange(2 * 4 * 5 * 3, dtype=np.uint8).reshape(2, 4, 5, 3)
    forms = [
        expected,
        expected.transpose(0, 3, 1, 2),
        expected / 255.0,
        list(expected),
        [Image.fromarray(picture) for picture in expected],
    ]
    for form in forms:
        assert np.array_equal(as_pictures(form), expected)
    signed = np.stack([np.full((4, 5, 3), -1.0), np.full((4, 5, 3), 1.0)])
    assert as_pictures(signed)[:, 0, 0, 0].tolist() == [0, 255]
    torch = pytest.importorskip("torch")
    assert np.array_equal(as_pictures(torch.from_numpy(expected)), expected)
    for bad in ([], np.zeros((2, 4, 4)), np.zeros((1, 4, 4, 3), int), np.full((1, 4, 4, 3), np.nan), "no"):
        with pytest.raises(MeasureError, match="pictures"):
            as_pictures(bad)
