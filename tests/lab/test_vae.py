"""The small generator really learns, repeats itself under one seed, and comes back from its file."""

from __future__ import annotations

import numpy as np
import pytest

from genepool.errors import MeasureError, SourceError
from genepool.lab import PictureVAE
from support.galleries import crops

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def pictures(photos) -> np.ndarray:
    made = np.stack([np.asarray(image) for image in crops(photos, 96, seed=1, side=32)])
    return made.transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1


def batches(pictures):
    def epoch():
        for at in range(0, len(pictures), 24):
            yield {"pixel_values": torch.from_numpy(pictures[at : at + 24])}

    return epoch


@pytest.fixture(scope="module")
def trained(pictures) -> PictureVAE:
    return PictureVAE(latent=16, width=8, seed=1).fit(batches(pictures), 80)


def test_it_learns(trained, pictures):
    assert np.mean(trained.losses[-10:]) < 0.6 * np.mean(trained.losses[:10])
    made = trained.sample(64, seed=2)
    assert made.shape == (64, 32, 32, 3)
    assert made.dtype == np.uint8
    # Different pictures, as bright on the whole as those it has seen.
    assert made.astype(float).std(axis=0).mean() > 20
    assert abs(made.mean() - (pictures.mean() + 1) * 127.5) < 25


def test_same_seed_same_pictures(trained, pictures):
    assert np.array_equal(trained.sample(8, seed=5), trained.sample(8, seed=5))
    assert not np.array_equal(trained.sample(8, seed=5), trained.sample(8, seed=6))
    twice = [PictureVAE(latent=8, width=8, seed=3).fit(batches(pictures), 6).sample(4) for _ in range(2)]
    assert np.array_equal(*twice)


def test_it_leaves_torchs_state_alone(pictures):
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    threads = torch.get_num_threads()
    PictureVAE(latent=8, width=8).fit(batches(pictures), 2).sample(2)
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == threads


def test_it_comes_back_from_its_file(trained, tmp_path):
    trained.save(tmp_path / "painter.npz")
    again = PictureVAE.load(tmp_path / "painter.npz")
    assert np.array_equal(again.sample(4, seed=1), trained.sample(4, seed=1))
    (tmp_path / "bad.npz").write_bytes(b"nothing")
    for name in ("bad.npz", "none.npz"):
        with pytest.raises(SourceError, match="saved generator"):
            PictureVAE.load(tmp_path / name)


def test_a_listener_can_look_and_stop(pictures):
    seen = []

    def listen(step):
        seen.append(step)
        model.sample(2)
        return step == 3

    model = PictureVAE(latent=8, width=8)
    model.fit(batches(pictures), 50, on_step=listen)
    assert seen == [1, 2, 3]
    assert len(model.losses) == 3


def test_bad_input(pictures, tmp_path):
    with pytest.raises(MeasureError, match="width"):
        PictureVAE(width=7)
    model = PictureVAE(latent=8, width=8)
    with pytest.raises(MeasureError, match="seen no picture"):
        model.sample(1)
    with pytest.raises(MeasureError, match="seen no picture"):
        model.save(tmp_path / "x.npz")
    with pytest.raises(MeasureError, match="at least one batch"):
        model.fit(lambda: iter(()), 3)
    with pytest.raises(MeasureError, match="32, 32"):
        model.fit(lambda: iter([torch.zeros(2, 3, 16, 16)]), 3)
    with pytest.raises(MeasureError, match="loss is nan"):
        model.fit(lambda: iter([torch.full((2, 3, 32, 32), float("nan"))]), 3)
