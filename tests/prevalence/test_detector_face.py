"""`SyntheticContentDetector` on a real set: what is verified counts, the pixel judge does not."""

import numpy as np
import pytest
from PIL import Image

from genepool import SyntheticContentDetector, provenance
from genepool.config import Config
from genepool.errors import SourceError
from genepool.store import Workspace
from support.marks import A1111
from support.scans import fill, picture, scanned


@pytest.fixture
def config():
    return Config().with_(engine__workers=1)


def test_ratio_of_a_half_registered_set(tmp_path, config):
    from PIL.PngImagePlugin import PngInfo

    space, folder = tmp_path / "work", tmp_path / "set"
    fill(folder, 7)
    provenance.register_human(scanned(folder, space), Workspace(space), cohort="c", config=config)
    info = PngInfo()
    info.add_text("parameters", A1111)
    picture(70).save(folder / "ai.png", pnginfo=info)
    picture(71).save(folder / "unknown1.png")
    picture(72).save(folder / "unknown2.png")
    detector = SyntheticContentDetector(threshold=0.94, workspace=space, config=config)
    ratio = detector.get_human_content_ratio(folder)
    assert (ratio.lower, ratio.upper, ratio.n, ratio.n_audited) == (0.7, 0.9, 10, 8)
    assert ratio >= 0.70
    opinions = detector.predict(folder)
    assert [o.verdict for o in opinions] == ["abstain"] * 10
    assert all("smaller than 128 pixels" in o.reason for o in opinions)


def test_pictures_in_memory(config):
    pixels = np.random.default_rng(0).integers(0, 255, (3, 64, 64, 3), np.uint8)
    ratio = SyntheticContentDetector(config=config).get_human_content_ratio(
        [Image.fromarray(p) for p in pixels]
    )
    assert (float(ratio), ratio.upper, ratio.n) == (0.0, 1.0, 3)


def test_plots_are_never_possibly_human(tmp_path, config):
    folder = fill(tmp_path / "set", 2)
    (folder / "genepool.jsonl").write_text('{"file": "000.jpg", "origin": "algorithmic"}\n')
    ratio = SyntheticContentDetector(workspace=tmp_path / "w", config=config).get_human_content_ratio(folder)
    assert (ratio.lower, ratio.upper) == (0.0, 0.5)


def test_nothing_to_judge(tmp_path, config):
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError):
        SyntheticContentDetector(config=config).get_human_content_ratio(tmp_path / "empty")
