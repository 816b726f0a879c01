"""Digests against independent arithmetic, and what they do and do not survive."""

from __future__ import annotations

import hashlib
import io

import numpy as np
import pytest
from PIL import Image
from scipy.fft import dctn
from skimage import data as pictures

from genepool.records import Item, Sample
from genepool.scan import View, perceptual_hash, pixel_digest
from support.scans import encoded


def view(data: bytes) -> View:
    return View(Sample(Item("a", "", "a"), data), max_pixels=10**8)


def phash(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    return perceptual_hash(view(encoded(image, kind, **options)).luma())


def distance(a: bytes, b: bytes) -> int:
    return (int.from_bytes(a) ^ int.from_bytes(b)).bit_count()


def test_pixel_digest_is_what_its_definition_says() -> None:
    raster = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    expected = hashlib.sha256(b"gpx1\0RGB" + bytes([0, 0, 0, 3, 0, 0, 0, 2]) + raster.tobytes())
    assert pixel_digest(raster) == expected.digest()


def test_pixel_digest_knows_shape_and_alpha() -> None:
    flat = np.zeros((2, 6, 3), np.uint8)
    assert pixel_digest(flat) != pixel_digest(flat.reshape(6, 2, 3))
    assert pixel_digest(flat) != pixel_digest(np.zeros((2, 6, 4), np.uint8))
    mirrored = np.arange(36, dtype=np.uint8).reshape(2, 6, 3)[:, ::-1]
    assert pixel_digest(mirrored) == pixel_digest(np.ascontiguousarray(mirrored))


def test_the_same_raster_in_other_containers() -> None:
    image = Image.fromarray(pictures.chelsea()[:60, :80])
    digests = {pixel_digest(view(encoded(image, kind, **o)).pixels) for kind, o in
               (("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True}), ("BMP", {}))}  # fmt: skip
    assert len(digests) == 1


def test_perceptual_hash_against_scipy() -> None:
    luma = view(encoded(Image.fromarray(pictures.astronaut()), "PNG")).luma()
    exact = dctn(luma.astype(float), norm="ortho")[1:17, 1:17].ravel()
    own = np.unpackbits(np.frombuffer(perceptual_hash(luma), np.uint8)).astype(bool)
    expected = exact > np.median(exact)
    # Rounded cosines may turn bits only where the coefficient lies next to the median.
    turned = np.abs(exact - np.median(exact))[own != expected]
    assert len(turned) <= 2
    assert (turned < 0.2).all()


def test_a_flat_image_hashes_to_zeros() -> None:
    for grey in (0, 17, 255):
        assert perceptual_hash(np.full((64, 64), grey, np.uint8)) == bytes(32)


def test_half_the_bits_are_set() -> None:
    for name in ("astronaut", "chelsea", "coffee"):
        assert int.from_bytes(phash(Image.fromarray(getattr(pictures, name)()))).bit_count() == 128


def test_edits_move_few_bits_and_other_pictures_many() -> None:
    image = Image.fromarray(pictures.astronaut())
    own = phash(image)
    smaller = image.resize((300, 300), Image.Resampling.LANCZOS)
    assert distance(own, phash(smaller)) <= 12
    assert distance(own, phash(image, "JPEG", quality=40)) <= 12
    assert distance(own, phash(image.point(lambda v: min(255, int(v * 1.1))))) <= 30
    for other in ("chelsea", "coffee", "rocket"):
        assert distance(own, phash(Image.fromarray(getattr(pictures, other)()))) > 80


def test_hashes_are_fixed_for_all_time() -> None:
    """A change here is a new version (`gpx2`, `gph2`), never a silent one."""
    y, x = np.mgrid[0:64, 0:64]
    luma = ((x * 5 + y * 3 + (x * y) // 7) % 256).astype(np.uint8)
    assert perceptual_hash(luma).hex() == PHASH
    assert pixel_digest(np.stack([luma, luma.T, 255 - luma], -1)).hex() == PIXEL


PHASH = "01ff1e00b97f37f0a5072a3844e06ccb6db66d2c6d51aab369226b255d6b696a"
PIXEL = "a336ed96189e9c281a6304928647a3fa5a457b12ea0a5c90e52e86523c8c39d0"


@pytest.mark.parametrize("quality", [30, 95])
def test_luma_is_the_same_for_read_only_views(quality: int) -> None:
    data = io.BytesIO()
    Image.fromarray(pictures.coffee()).save(data, "JPEG", quality=quality)
    seen = view(data.getvalue())
    assert seen.luma().shape == (64, 64)
    assert np.array_equal(seen.luma(), view(data.getvalue()).luma())
