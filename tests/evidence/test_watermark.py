"""The reader of invisible watermarks, against marks that the package invisible-watermark wrote and read."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genepool import origin
from genepool.config import Config
from genepool.evidence import EvidenceProbe, find_marks
from genepool.evidence._watermark import PAYLOADS, agreement, read_bits
from genepool.records import Evidence
from genepool.testing import picture, view_of

NAMES = {"sd1": "Stable Diffusion 1", "sdxl": "SDXL", "flux": "FLUX"}


@pytest.fixture(scope="module")
def package():
    place = Path(__file__).parents[1] / "references" / "fixtures" / "watermarks.npz"
    with np.load(place, allow_pickle=False) as data:
        return {key: data[key] for key in data.files}


@pytest.fixture(scope="module")
def clean():
    from skimage import data

    return np.ascontiguousarray(data.astronaut()[:256, 90:346])


def marked(clean, package, name):
    return (clean.astype(np.int16) + package[f"{name}_change"]).astype(np.uint8)


@pytest.mark.parametrize("name", NAMES)
def test_the_bits_are_those_of_the_package(clean, package, name):
    payload = next(p for p in PAYLOADS if p.model == NAMES[name])
    for kind, image in (("marked", marked(clean, package, name)), ("clean", clean)):
        bits = package[f"{name}_{kind}"]
        assert len(bits) == len(payload.bits)
        assert (read_bits(image, len(bits)) == bits).all()
    assert (package[f"{name}_marked"] == payload.bits).mean() > 0.9


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("order", ["BGR", "RGB"])
def test_each_payload_is_found_in_both_channel_orders(clean, package, name, order):
    image = marked(clean, package, name)
    if order == "RGB":  # written by a program that took RGB for BGR
        image = np.ascontiguousarray(image[..., ::-1])
    best = find_marks(image)[0]
    assert (best.model, best.order) == (NAMES[name], order)
    assert best.agreement > 0.9


def test_unmarked_pictures_carry_nothing(clean, photos):
    assert find_marks(clean) == []
    for image in photos.values():
        assert find_marks(np.ascontiguousarray(image[:512, :512])) == []
    rng = np.random.default_rng(0)
    for _ in range(10):
        assert find_marks(rng.integers(0, 256, (300, 300, 3), dtype=np.uint8)) == []


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (127, 127, 127), (9, 200, 31), (40, 40, 220)])
def test_flat_colours_agree_with_no_payload(colour):
    flat = np.full((300, 300, 3), colour, np.uint8)
    assert find_marks(flat) == []
    for payload in PAYLOADS:
        assert agreement(read_bits(flat, len(payload.bits)), payload.bits) <= 0.5


def test_small_pictures_are_not_read(clean, package):
    assert find_marks(marked(clean, package, "sdxl")[:255, :256]) == []
    assert find_marks(np.zeros((1, 70_000, 3), np.uint8)) == []
    assert find_marks(np.zeros((70_000, 1, 3), np.uint8)) == []


def test_absence_says_nothing_after_a_jpeg(clean, package):
    out = io.BytesIO()
    Image.fromarray(marked(clean, package, "sdxl")).save(out, "JPEG", quality=60)
    assert find_marks(np.asarray(Image.open(out))) == []


def test_the_probe_reads_them_only_when_asked(clean, package):
    image = marked(clean, package, "flux")
    silent = EvidenceProbe.from_config(Config())
    asked = EvidenceProbe.from_config(Config().with_(evidence__watermarks=True))
    assert silent.version != asked.version
    assert silent.examine(view_of(image))["evidence"] == "[]"
    row = asked.examine(view_of(image))
    assert '"watermark"' in row["evidence"]
    assert asked.examine(view_of(clean))["evidence"] == "[]"


def test_a_mark_makes_an_image_declared_ai(clean, package):
    from genepool.evidence._watermark import testify

    (mark,) = testify(marked(clean, package, "flux"))
    assert isinstance(mark, Evidence)
    assert (mark.claim, mark.hard, mark.model, mark.llr) == ("ai", False, "FLUX", 3.0)
    settled = origin.fold([mark])
    assert (settled.ai, settled.tier, settled.model) == (True, "declared", "FLUX")
    assert testify(picture(300, 300)) == []
