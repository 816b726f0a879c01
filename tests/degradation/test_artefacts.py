"""Pixel marks: what each number answers to, and how much of a generator's own pattern shows."""

from __future__ import annotations

import numpy as np
import pytest

from genepool.degradation._amplify import Marks
from genepool.degradation._artefacts import NAMES, crop_side, crops_of, describe, frequencies

AT = {name: i for i, name in enumerate(NAMES)}


def _grey(plane: np.ndarray) -> np.ndarray:
    return np.repeat(np.clip(np.rint(plane), 0, 255).astype(np.uint8)[..., None], 3, axis=-1)


def _noise(rng: np.random.Generator, n: int, side: int = 64, spread: float = 20.0) -> np.ndarray:
    return _grey(128 + spread * rng.standard_normal((n, side, side)))


def test_white_noise_has_a_flat_spectrum_of_its_own_variance():
    numbers, rings = describe(_noise(np.random.default_rng(0), 40))
    # The mean of log power is below the log of the mean by Euler's constant for an exponential variable.
    # The innermost rings hold a few frequencies only.
    assert 10 ** rings[3:] * np.exp(0.5772) == pytest.approx(np.full(21, 400.0), rel=0.12)
    assert numbers[AT["spectral slope"]] == pytest.approx(0, abs=0.1)
    # A blur that takes a part of the pixel itself away leaves a negative neighbour correlation.
    assert numbers[AT["residual correlation at 1"]] < 0


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_the_slope_is_the_exponent(power):
    rng = np.random.default_rng(1)
    line = np.fft.fftfreq(256)
    radius = np.hypot(line[:, None], line[None, :])
    radius[0, 0] = 1
    shaped = np.fft.fft2(rng.standard_normal((256, 256))) / radius ** (power / 2)
    plane = np.real(np.fft.ifft2(shaped))
    crops = crops_of(_grey(128 + 40 * plane / plane.std()), 64)
    assert describe(crops)[0][AT["spectral slope"]] == pytest.approx(-power, abs=0.3)


@pytest.mark.parametrize(("step", "name"), [(2, "peaks at 1/2"), (4, "peaks at 1/4"), (8, "peaks at 1/8")])
def test_a_grid_shows_at_its_own_frequency(step, name):
    rng = np.random.default_rng(2)
    clean = 128 + 10 * rng.standard_normal((20, 64, 64))
    wave = 4 * np.cos(2 * np.pi * np.arange(64) / step)
    before, after = describe(_grey(clean))[0], describe(_grey(clean + wave[None, None, :]))[0]
    rises = {n: after[AT[n]] - before[AT[n]] for n in ("peaks at 1/2", "peaks at 1/4", "peaks at 1/8")}
    assert rises[name] > 0.4
    assert max(rises, key=rises.get) == name


def test_crops_are_native_and_do_not_follow_the_content():
    picture = np.random.default_rng(3).integers(0, 255, (150, 200, 3), np.uint8)
    found = crops_of(picture, 64)
    assert found.shape == (4, 64, 64, 3)
    assert (found[0] == picture[6:70, 18:82]).all()
    assert len(crops_of(picture[:60], 64)) == 0
    assert crops_of(picture[:64, :64], 64).shape[0] == 1
    assert crop_side(np.full(50, 32)) == 32
    assert crop_side(np.array([100] * 99 + [20])) == 64
    assert crop_side(np.full(50, 7)) == 0
    assert len(frequencies()) == 24


def test_the_same_source_has_no_shift_and_a_known_shift_is_found():
    rng = np.random.default_rng(4)
    mix = rng.standard_normal((11, 11))
    hits, distances = 0, []
    for _ in range(40):
        marks = Marks(rng.standard_normal((300, 11)) @ mix, 0.05, 0)
        hits += marks.shift(rng.standard_normal((200, 11)) @ mix).lower == 0
        moved = np.zeros(11)
        moved[2] = 0.5
        distances.append(marks.shift((rng.standard_normal((200, 11)) + moved) @ mix))
    assert hits >= 36
    # One percent of each variance is added on the diagonal, which shortens the distance a little.
    assert np.mean([float(d) for d in distances]) == pytest.approx(0.5, abs=0.05)
    assert sum(d.lower <= 0.5 <= d.upper for d in distances) >= 34


def test_marks_that_double_are_amplified_twice():
    rng = np.random.default_rng(5)
    mark = 0.4 * rng.standard_normal(11)
    marks = Marks(rng.standard_normal((800, 11)), 0.05, 0)
    first, second = (rng.standard_normal((800, 11)) + k * mark for k in (1, 2))
    found = marks.amplification(first, second)
    assert found.lower <= 2 <= found.upper
    assert found.value == pytest.approx(2, abs=0.2)
    assert marks.amplification(rng.standard_normal((800, 11)), second) is None
