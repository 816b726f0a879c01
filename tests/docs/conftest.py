"""Directories that the pages' sessions run in, each put back to how it was before the next page."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from support.galleries import computed, crops, write


class Place(NamedTuple):
    """A folder to run in, the keys that belong to it, and what the demo printed where it made the folder."""

    folder: Path
    home: Path
    told: str = ""


@pytest.fixture(scope="session")
def places(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Callable:
    """``places("demo")``: the prepared directory of that name, as it was when it was made.

    It is put back at the same path, with its file times: what was scanned there is still known.
    """
    made: dict[str, Place] = {}

    def kept(path: Path) -> Path:
        return path.with_name(f"{path.name}.kept")

    def restore(place: Place) -> None:
        for path in (place.folder, place.home):
            shutil.rmtree(path, ignore_errors=True)
            shutil.copytree(kept(path), path, symlinks=True)

    def get(name: str) -> Place:
        if name not in made:
            made[name] = place = MAKERS[name](tmp_path_factory, request)
            for path in (place.folder, place.home):
                shutil.copytree(path, kept(path), symlinks=True)
        restore(made[name])
        return made[name]

    return get


def _fresh(factory: pytest.TempPathFactory, name: str) -> Place:
    root = factory.mktemp(name)
    (root / "here").mkdir()
    (root / "home").mkdir()
    return Place(root / "here", root / "home")


def _demo(factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Place:
    story, told = request.getfixturevalue("demo_told")
    return Place(story.gallery.root.parent, request.getfixturevalue("demo_home"), told)


def _empty(factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Place:
    return _fresh(factory, "empty")


def _pictures(factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Place:
    place = _fresh(factory, "pictures")
    write(place.folder / "pictures" / "photos", crops(request.getfixturevalue("photos"), 60, 1), "p")
    write(place.folder / "pictures" / "found", computed(8, 2), "f")
    return place


def _checked(factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Place:
    """Pictures of which nothing is known, after one check."""
    import genepool

    place = _pictures(factory, request)
    with _at(place):
        assert genepool.check("pictures").status == "undecided"
    return place


def _passed(factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Place:
    """Pictures whose photographs are attested, after a check that passed."""
    import genepool
    from genepool import dataset, provenance, scan, store

    place = _pictures(factory, request)
    with _at(place):
        opened = dataset.open("pictures")
        space = store.workspace_for(opened)
        catalogue = scan.scan(opened, space)
        uris = catalogue.table(["uri"]).column("uri").to_pylist()
        photos = catalogue.select(uri for uri in uris if uri.startswith("photos"))
        provenance.register_human(photos, space, cohort="photos", origin="captured")
        assert genepool.check(opened).status == "pass"
    return place


def _generations(factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Place:
    """Human pictures, and samples of three versions of a made-up model that narrows and leaves a grid."""
    photos = request.getfixturevalue("photos")
    place = _fresh(factory, "generations")
    write(place.folder / "human", crops(photos, 150, 1, side=64), "h")
    for version, kinds, grid in ((1, len(photos), 4.0), (2, len(photos) // 2, 8.0), (3, 3, 16.0)):
        some = {name: photos[name] for name in sorted(photos)[:kinds]}
        wave = np.cos(np.pi * np.arange(64))
        plane = grid * (wave[:, None] * wave[None, :])[..., None]
        worn = [
            Image.fromarray(np.clip(np.rint(np.asarray(p, np.float64) + plane), 0, 255).astype(np.uint8))
            for p in crops(some, 60, version + 1, side=64)
        ]
        write(place.folder / "samples" / f"v{version}", worn, "s")
    return place


MAKERS: dict[str, Callable[[pytest.TempPathFactory, pytest.FixtureRequest], Place]] = {
    "demo": _demo,
    "empty": _empty,
    "pictures": _pictures,
    "checked": _checked,
    "passed": _passed,
    "generations": _generations,
}


@contextlib.contextmanager
def _at(place: Place) -> Iterator[Place]:
    """In a place's folder, with its keys."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place.folder)
        patch.setenv("GENEPOOL_HOME", str(place.home))
        for name in ("GENEPOOL_KEY", "GENEPOOL_WORKSPACE"):
            patch.delenv(name, raising=False)
        yield place


@pytest.fixture(scope="session")
def at() -> Callable:
    """``with at(places("demo")):`` …"""
    return _at
