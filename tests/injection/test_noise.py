"""Noise and augmentation for training: the kinds it takes, what it promises, and that it writes nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from genepool.errors import UsageError
from genepool.injection import TrainingNoise


@pytest.fixture(scope="module")
def picture(photos):
    return np.ascontiguousarray(photos["coffee"][100:196, 100:180])


def test_kind_shape_and_range_stay(picture):
    change = TrainingNoise(seed=3)
    whole = change(picture)
    assert whole.dtype == np.uint8
    assert whole.shape == picture.shape
    assert (whole != picture).any()
    real = change(picture.astype(np.float32) / 255)
    assert real.dtype == np.float32
    assert 0 <= real.min() <= real.max() <= 1
    tensor = torch.from_numpy(picture).permute(2, 0, 1)
    assert change(tensor).shape == tensor.shape
    assert change(tensor).dtype == torch.uint8
    batch = (tensor[None].repeat(3, 1, 1, 1) / 255).to(torch.float16)
    made = change(batch)
    assert made.shape == batch.shape
    assert made.dtype == torch.float16
    assert (made[0] != made[1]).any()


def test_a_key_decides_alone_and_calls_differ(picture):
    change, again = TrainingNoise(seed=3), TrainingNoise(seed=3)
    assert (change(picture, key=7) == again(picture, key=7)).all()
    assert (change(picture, key=7) != change(picture, key=8)).any()
    assert (change(picture) != change(picture)).any()
    assert (change(picture, key=7) != TrainingNoise(seed=4)(picture, key=7)).any()


def test_each_part_can_be_turned_off(picture):
    nothing = TrainingNoise((0.0, 0.0), mirror=0, crop=1, light=0, colour=0)
    assert (nothing(picture) == picture).all()
    mirror = TrainingNoise((0.0, 0.0), mirror=1, crop=1, light=0, colour=0)
    assert (mirror(picture) == picture[:, ::-1]).all()


def test_the_noise_is_as_strong_as_asked():
    grey = np.full((200, 200, 3), 128, np.uint8)
    noisy = TrainingNoise((0.05, 0.05), mirror=0, crop=1, light=0, colour=0)(grey)
    assert noisy.std() == pytest.approx(0.05 * 255, rel=0.03)


def test_what_is_no_picture_is_refused(picture):
    change = TrainingNoise()
    for thing in (picture[..., :2], picture[0], [1, 2], torch.zeros(4, 8, 8)):
        with pytest.raises(UsageError, match="noise: expected"):
            change(thing)
    for options in ({"mirror": 1.5}, {"crop": 0.0}, {"noise": (0.5, 0.1)}, {"light": -1}):
        with pytest.raises(UsageError):
            TrainingNoise(**options)


def test_workers_of_a_loader_draw_differently(picture):
    change = TrainingNoise(seed=1)

    class Same(torch.utils.data.Dataset):
        def __len__(self):
            return 4

        def __getitem__(self, i):
            return change(torch.from_numpy(picture).permute(2, 0, 1))

    made = next(iter(torch.utils.data.DataLoader(Same(), batch_size=4, num_workers=0)))
    assert len({bytes(one.numpy().tobytes()) for one in made}) == 4
