"""Every generator learns something, repeats itself under one seed, and says when it diverges."""

from __future__ import annotations

import numpy as np
import pytest

from genepool.errors import MeasureError, UsageError
from genepool.lab.generators import Diverged, Principal, make_generator

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

SMALL = {
    "dense-vae": {"steps": 150, "width": 64, "latent": 8},
    "latent-flow": {"steps": 250, "width": 64, "latent": 8, "solve": 8},
    "mixture": {"components": 2, "latent": 6},
    "pixel-flow": {"side": 8, "classes": 2, "width": 8, "steps": 120, "batch": 32, "solve": 6, "flip": False},
    "vae": {"steps": 40, "width": 8, "latent": 8, "batch": 16},
}


def pictures(side=8, n=240):
    """Two kinds: dark with a bright left half, bright with a dark upper half; a little noise."""
    rng = np.random.default_rng(0)
    labels = np.arange(n) % 2
    base = np.zeros((2, side, side, 3))
    base[0, :, : side // 2] = 200
    base[1] = 220
    base[1, : side // 2] = 40
    noisy = base[labels] + rng.normal(0, 8, (n, side, side, 3))
    return np.clip(noisy, 0, 255).astype(np.uint8), labels.astype(np.int64)


@pytest.mark.parametrize("kind", SMALL)
def test_it_learns_and_repeats_itself(kind):
    shown, labels = pictures(32 if kind == "vae" else 8, 64 if kind == "vae" else 240)
    made = [make_generator(kind, 4, "cpu", **SMALL[kind]).fit(shown, labels).draw(60, 7) for _ in range(2)]
    (one, told), (two, _) = made
    assert one.shape == (60, *shown.shape[1:])
    assert one.dtype == np.uint8
    assert np.array_equal(one, two)
    assert len(told) == 60
    # Nearer to the pictures than grey noise is.
    seen = shown.reshape(len(shown), -1).astype(float)
    noise = np.random.default_rng(1).integers(0, 256, one.shape).reshape(60, -1)

    def apart(rows):
        return np.mean([np.sqrt(((seen - row) ** 2).mean(axis=1)).min() for row in rows.astype(float)])

    assert apart(one.reshape(60, -1)) < 0.75 * apart(noise)


def test_a_chain_on_logits_keeps_the_variance_that_clipping_takes():
    rng = np.random.default_rng(3)
    strokes = rng.normal(0, 1.4, (3000, 6)) @ rng.normal(0, 1, (6, 48))
    shown = np.clip(np.rint(256 / (1 + np.exp(-strokes / 2)) - 0.5), 0, 255).astype(np.uint8)
    shown = shown.reshape(-1, 4, 4, 3)

    def left(logit):
        seen = shown
        for generation in range(4):
            options = {"components": 4, "latent": 6, "logit": logit}
            seen, _ = make_generator("mixture", generation, **options).fit(seen).draw(3000, generation)
        return seen.reshape(3000, -1).var(axis=0).sum() / shown.reshape(3000, -1).var(axis=0).sum()

    assert left(logit=False) < 0.85
    assert 0.93 < left(logit=True) < 1.05


def test_guidance_follows_the_label():
    shown, labels = pictures()
    model = make_generator("pixel-flow", 1, "cpu", **{**SMALL["pixel-flow"], "steps": 250}).fit(shown, labels)
    model.guidance = 2.0
    drawn, told = model.draw(80, 3)
    assert set(told) == {0, 1}
    flat = drawn.reshape(80, -1).astype(float)
    means = np.stack([shown[labels == k].reshape(-1, 192).mean(axis=0) for k in (0, 1)])
    nearest = ((flat[:, None] - means) ** 2).mean(axis=2).argmin(axis=1)
    assert (nearest == told).mean() > 0.9


@pytest.mark.parametrize("kind", ["dense-vae", "latent-flow", "pixel-flow"])
def test_divergence_is_said(kind):
    shown, labels = pictures()
    with pytest.raises(Diverged, match="loss is"):
        make_generator(kind, 1, "cpu", **{**SMALL[kind], "rate": 1e38}).fit(shown, labels)


def test_bad_arguments():
    with pytest.raises(UsageError, match="expected dense-vae"):
        make_generator("gan", 1)
    with pytest.raises(UsageError, match="mixture"):
        make_generator("mixture", 1, colour=3)
    with pytest.raises(MeasureError, match="multiple of"):
        make_generator("pixel-flow", 1, side=30)
    shown, labels = pictures()
    with pytest.raises(MeasureError, match="label below 2"):
        make_generator("pixel-flow", 1, "cpu", **SMALL["pixel-flow"]).fit(shown, labels + 5)
    with pytest.raises(MeasureError, match="has seen no picture"):
        make_generator("mixture", 1).draw(3)
    with pytest.raises(MeasureError, match="at least 10 pictures"):
        make_generator("mixture", 1, components=10).fit(shown[:4])


def test_principal_components_invert():
    rows = np.random.default_rng(2).normal(size=(50, 6)) * [5, 3, 2, 1, 1, 1]
    space = Principal(rows, 6)
    assert np.allclose(space.decode(space.encode(rows)), rows)
    assert np.allclose(space.encode(rows).std(axis=0, ddof=1), 1)
    # Independent route: singular values of the centred rows.
    singular = np.linalg.svd(rows - rows.mean(axis=0), compute_uv=False)
    assert np.allclose(space.scale, singular / np.sqrt(49))
