"""Style transfer without weights: what each statistic becomes, and who says so."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto
from PIL import Image

from genepool import plugins
from genepool.embedding import ClassicalEmbedder
from genepool.errors import MissingExtra, PluginError
from genepool.injection import ColourStyle, MarksStyle, OnnxStyle, StrokesStyle, _colour
from genepool.injection._marks import common_levels, match, statistics_of
from genepool.injection._patches import PatchBook, repaint
from genepool.injection._pyramid import build, collapse, levels_for
from genepool.injection._styles import load_style
from support.styles import network


def small(photo, side=96):
    image = Image.fromarray(np.ascontiguousarray(photo))
    edge = min(image.size)
    return np.asarray(image.crop((0, 0, edge, edge)).resize((side, side), Image.Resampling.LANCZOS))


@pytest.fixture(scope="module")
def pictures(photos):
    names = ("astronaut", "coffee", "china", "flower", "immunohistochemistry", "rocket", "hubble_deep_field")
    return {name: small(photos[name]) for name in names}


# ------------------------------------------------------------------------------------------- colour


def test_lab_is_that_of_skimage_and_comes_back(pictures):
    from skimage.color import rgb2lab

    rgb = pictures["astronaut"]
    lab = _colour.to_lab(rgb)
    assert np.abs(lab - rgb2lab(rgb)).max() < 0.05
    assert (_colour.from_lab(lab) == rgb).all()


def distance(a, b):
    """Mean Wasserstein distance of two palettes over the three channels."""
    from scipy.stats import wasserstein_distance

    rows = [_colour.to_lab(x).reshape(-1, 3) for x in (a, b)]
    return np.mean([wasserstein_distance(rows[0][:, c], rows[1][:, c]) for c in range(3)])


@pytest.mark.parametrize("method", ["transport", "gaussian", "reinhard"])
def test_colours_move_to_the_target(pictures, method):
    content, target = pictures["astronaut"], pictures["immunohistochemistry"]
    made = ColourStyle(method).transfer(content, [target])
    assert made.shape == content.shape
    assert made.dtype == np.uint8
    assert distance(made, target) < 0.35 * distance(content, target)


def test_the_gaussian_map_gives_mean_and_covariance(pictures):
    lab = _colour.to_lab(pictures["coffee"])
    target = _colour.to_lab(pictures["china"]).reshape(-1, 3)
    made = _colour.gaussian(lab, target).reshape(-1, 3)
    assert made.mean(0) == pytest.approx(target.mean(0), abs=0.05)
    # Half a unit on the diagonal keeps it invertible.
    assert np.cov(made, rowvar=False) == pytest.approx(np.cov(target, rowvar=False), rel=0.05, abs=3.0)
    # It is the map of least change: its matrix is symmetric and positive (Brenier 1991).
    rows = lab.reshape(-1, 3).astype(float)
    matrix = np.linalg.lstsq(rows - rows.mean(0), made - made.mean(0), rcond=None)[0]
    assert matrix == pytest.approx(matrix.T, abs=1e-3)
    assert (np.linalg.eigvalsh(matrix) > 0).all()


def test_a_picture_in_its_own_colours_stays_as_it_is(pictures):
    lab = _colour.to_lab(pictures["flower"])
    rows = lab.reshape(-1, 3)
    assert np.abs(_colour.gaussian(lab, rows) - lab).max() < 0.1
    assert np.abs(_colour.reinhard(lab, rows) - lab).max() < 0.1
    # Two samples of one palette are not the same sample.
    assert np.abs(_colour.transport(lab, rows) - lab).mean() < 4.0


def test_without_pot_it_says_what_to_install(pictures, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ot", None)
    with pytest.raises(MissingExtra, match="POT") as raised:
        ColourStyle().transfer(pictures["coffee"], [pictures["china"]])
    assert "genepool[inject]" in raised.value.hint


# -------------------------------------------------------------------------------------------- marks


@pytest.mark.parametrize("shape", [(64, 64), (96, 48), (64, 112)])
def test_the_pyramid_gives_the_picture_back(shape):
    plane = np.random.default_rng(0).normal(size=shape).cumsum(0).cumsum(1)
    levels = levels_for(*shape)
    pyramid = build(plane, levels)
    assert collapse(pyramid) == pytest.approx(plane, abs=1e-9 * np.abs(plane).max())
    assert [band.shape[1:] for band in pyramid.bands] == [
        (shape[0] >> k, shape[1] >> k) for k in range(levels)
    ]


def test_a_grating_lights_up_the_band_of_its_direction_and_size():
    y, x = np.mgrid[:64, :64]
    for k, wave in enumerate((np.cos(2 * np.pi * x * 20 / 64), np.cos(2 * np.pi * y * 20 / 64))):
        energy = [(np.abs(band) ** 2).mean() for band in build(wave, 2).bands[0]]
        assert int(np.argmax(energy)) == (0, 2)[k]
        # A quadrature pair: the magnitude of a grating is even.
        band = np.abs(build(wave, 2).bands[0][(0, 2)[k]])
        assert band.std() < 0.02 * band.mean()
    assert np.argmax([(np.abs(b) ** 2).mean() for b in build(np.cos(2 * np.pi * x * 5 / 64), 3).bands]) == 2


def test_marks_take_the_styles_statistics(pictures):
    content, style = (_colour.to_lab(pictures[name]) for name in ("flower", "immunohistochemistry"))
    levels = common_levels([content, style])
    target = statistics_of([style], levels)
    made = match(content, target, strength=1.0, rounds=3)

    def gap(lab):
        own = statistics_of([lab], levels)
        return np.mean(
            [
                np.abs(np.log1p(a) - np.log1p(b)).mean()
                for mine, theirs in zip(own, target, strict=True)
                for a, b in zip(mine.magnitudes, theirs.magnitudes, strict=True)
            ]
        )

    assert gap(made) < 0.5 * gap(content)
    assert np.abs(match(content, target, strength=0.0) - content).max() < 1e-3


# ------------------------------------------------------------------------------------------ strokes


def test_patches_come_from_the_book(pictures):
    style, content = (_colour.to_lab(pictures[name]) for name in ("china", "rocket"))
    book = PatchBook.of([style], 9, np.random.default_rng(0))
    rows = book.patches[[3, 40, 77]]
    assert book.patches[book.nearest(rows)] == pytest.approx(rows, abs=1e-3)
    free = repaint(content, content, np.zeros(content.shape[:2]), book, rounds=3)
    held = repaint(content, content, np.full(content.shape[:2], 50.0), book, rounds=3)

    def strangeness(lab):
        seen = PatchBook.of([lab], 9, np.random.default_rng(1)).patches
        return np.sqrt(((seen - book.patches[book.nearest(seen)]) ** 2).mean())

    assert strangeness(free) < 0.5 * strangeness(content)
    assert np.abs(held - content).mean() < 0.1 * np.abs(free - content).mean()
    assert PatchBook.of([style[:8, :8]], 9, np.random.default_rng(0)) is None


def test_the_same_seed_gives_the_same_picture(pictures):
    for style in (ColourStyle(), MarksStyle(), StrokesStyle()):
        made = [style.transfer(pictures["coffee"], [pictures["china"]], seed=s) for s in (5, 5, 6)]
        assert (made[0] == made[1]).all()
        assert (made[0] != made[2]).any()


@pytest.mark.parametrize("size", [(33, 70), (16, 16)])
def test_odd_and_small_pictures_come_back_in_their_size(pictures, size):
    content = pictures["coffee"][: size[0], : size[1]]
    for style in (ColourStyle(), MarksStyle(), StrokesStyle()):
        assert style.transfer(content, [pictures["china"]]).shape == content.shape


def test_a_judge_that_made_nothing_finds_the_pictures_nearer_their_target(pictures):
    judge = ClassicalEmbedder()

    class Seen:
        def __init__(self, pixels):
            self.pixels = pixels

        def thumbnail(self, side):
            return self.pixels

    place = {name: judge.embed(Seen(pixels)) for name, pixels in pictures.items()}
    names = sorted(pictures)
    nearer = total = 0
    for k, name in enumerate(names):
        target = names[(k + 1) % len(names)]
        made = judge.embed(Seen(StrokesStyle(0.3).transfer(pictures[name], [pictures[target]])))
        nearer += float(np.linalg.norm(made - place[target])) < float(np.linalg.norm(made - place[name]))
        total += 1
    assert nearer >= 0.6 * total


# ----------------------------------------------------------------------------------------- plug-ins


def test_a_network_of_the_users_own_runs(tmp_path, pictures):
    content, style = pictures["coffee"], pictures["china"]
    two = OnnxStyle(f"{network(tmp_path / 'two.onnx')}#painter")
    made = two.transfer(content, [style])
    expected = content * 0.5 + style.mean((0, 1)) * 0.5
    assert np.abs(made - expected).max() <= 1.0
    assert two.base == "painter"
    assert len(two.parameters["sha256"]) == 64
    one = OnnxStyle(str(network(tmp_path / "one.onnx", inputs=("picture",))))
    assert np.abs(one.transfer(content, [style]) - content * 0.5).max() <= 1.0
    assert one.base == "unknown"
    # Sides are cut to what encoders need.
    assert one.transfer(content[:70, :50], [style]).shape == (64, 32, 3)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("colour:rainbow", "expected transport"),
        ("strokes:2", "from 0 to 1"),
        ("marks:much", "from 0 to 1"),
        ("onnx", "expected a file"),
        ("onnx:/no/such.onnx", "expected an ONNX file"),
        ("storkes", "strokes"),
    ],
)
def test_what_cannot_be_a_style_is_named(spec, message):
    with pytest.raises(PluginError) as raised:
        load_style(spec)
    assert message in str(raised.value)


def test_bad_networks_are_refused(tmp_path, pictures):
    (tmp_path / "no.onnx").write_bytes(b"not a network")
    with pytest.raises(PluginError, match="can load"):
        OnnxStyle(str(tmp_path / "no.onnx")).transfer(pictures["coffee"], [pictures["china"]])
    halves = network(tmp_path / "half.onnx", kind=TensorProto.FLOAT16)
    with pytest.raises(PluginError):
        OnnxStyle(str(halves)).transfer(pictures["coffee"], [pictures["china"]])
    wild = network(tmp_path / "wild.onnx", inputs=("picture",), scale=float("nan"))
    with pytest.raises(PluginError, match="finite"):
        OnnxStyle(str(wild)).transfer(pictures["coffee"], [pictures["china"]])


def test_all_four_are_plug_ins_by_name():
    assert {"colour", "marks", "strokes", "onnx"} <= {entry.name for entry in plugins.entries("styles")}
    assert load_style("strokes:0.4").hold == 0.4
