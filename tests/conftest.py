"""Shared by all tests: a home of their own, Hypothesis profiles, and where the labelled images may lie."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import hypothesis
import pytest

from support.buckets import s3, s3_server  # noqa: F401  # fixtures

if TYPE_CHECKING:
    from genepool.demo import Story

# A run fails because of what was changed, not by chance. New examples: pytest --hypothesis-profile explore
hypothesis.settings.register_profile(
    "fixed", derandomize=True, deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.register_profile("explore", deadline=None)
hypothesis.settings.load_profile("fixed")

SHARED = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keys and trust policies of the tests never touch those of the person who runs them."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("GENEPOOL_HOME", str(home))
    monkeypatch.delenv("GENEPOOL_KEY", raising=False)
    monkeypatch.delenv("GENEPOOL_WORKSPACE", raising=False)
    return home


@pytest.fixture
def one_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every review draws the same order in every run; its seed is secret otherwise."""
    fixed = SimpleNamespace(token_hex=lambda n: f"{1:0{2 * n}x}")
    monkeypatch.setattr("genepool.review._draw.secrets", fixed)


@pytest.fixture(scope="session")
def demo_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The keys of the demo's story."""
    return tmp_path_factory.mktemp("story-home")


@pytest.fixture(scope="session")
def demo_told(tmp_path_factory: pytest.TempPathFactory, demo_home: Path) -> tuple[Story, str]:
    """`genepool demo` run once for all tests, over what an earlier one left: the story, and what it printed.

    Tests that use it are of the group ``demo``, so that one worker runs them all.
    """
    from click.testing import CliRunner

    from genepool import demo
    from genepool.cli._main import cli
    from genepool.demo._place import mark

    folder = tmp_path_factory.mktemp("story") / "demo"
    for place in (folder, folder.with_name("demo.genepool"), folder.with_name("demo-clean")):
        place.mkdir()
        (place / "stale.png").write_bytes(b"left by an earlier demo")
        mark(place, ["stale.png"])
    stories: list[Story] = []
    run = demo.run
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENEPOOL_HOME", str(demo_home))
        patch.setattr("genepool.demo.run", lambda *a, **k: stories.append(run(*a, **k)) or stories[0])
        result = CliRunner().invoke(cli, ["demo", str(folder)], standalone_mode=False)
    assert result.exception is None, result.output
    assert result.return_value == 0, result.output
    return stories[0], result.output


@pytest.fixture(scope="session")
def shared() -> Path:
    """The labelled images beside the project, where they are there."""
    if not SHARED.is_dir():
        pytest.skip("the labelled images (../shared/data) are not here")
    return SHARED


@pytest.fixture(scope="session")
def photos() -> dict[str, object]:
    """Real photographs that scikit-image and scikit-learn ship, as RGB arrays by name."""
    import numpy as np
    from skimage import data
    from sklearn.datasets import load_sample_images

    found = {}
    names = "astronaut camera chelsea coffee coins hubble_deep_field immunohistochemistry moon page rocket"
    for name in (*names.split(), "text"):
        image = np.asarray(getattr(data, name)())
        found[name] = np.stack([image] * 3, -1) if image.ndim == 2 else image[..., :3]
    china, flower = load_sample_images().images
    return {**found, "china": np.asarray(china), "flower": np.asarray(flower)}
