"""One gallery for all tests of the demo."""

from __future__ import annotations

import pytest

from genepool.demo import Gallery, make_gallery


@pytest.fixture(scope="session")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Gallery:
    return make_gallery(tmp_path_factory.mktemp("made") / "demo")
