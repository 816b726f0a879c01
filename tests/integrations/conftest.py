"""A small set that passed its check: human photographs, and machine pictures of two generations."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

import genepool
from genepool import dataset, provenance, scan, store
from support.galleries import crops, write

HUMAN, FIRST, SECOND = 72, 12, 8


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, photos: dict) -> SimpleNamespace:
    """The set as it was checked, once for all tests; they work on copies."""
    home = tmp_path_factory.mktemp("passed-home")
    patch = pytest.MonkeyPatch()
    patch.setenv("GENEPOOL_HOME", str(home))
    root = tmp_path_factory.mktemp("passed")
    folder = root / "set"
    write(folder / "human", crops(photos, HUMAN, seed=1, side=72), "h")
    write(folder / "first", crops(photos, FIRST, seed=2, side=72), "a")
    write(folder / "second", crops(photos, SECOND, seed=3, side=72), "b")
    (folder / "human" / "h000.txt").write_text("a person's picture", "utf-8")
    opened = dataset.open(folder)
    space = store.workspace_for(opened)
    catalogue = scan.scan(opened, space)
    uris = catalogue.table(["uri"]).column("uri").to_pylist()

    def part(name: str):
        return catalogue.select(uri for uri in uris if uri.startswith(name))

    provenance.register_human(part("human"), space, cohort="people", origin="captured")
    provenance.register_model(space, "one", [("people", 1.0)])
    provenance.register_outputs(part("first"), space, model="one", cohort="ones")
    provenance.register_model(space, "two", [("ones", 1.0)])
    provenance.register_outputs(part("second"), space, model="two", cohort="twos")
    decision = genepool.check(opened)
    assert decision, decision.failures
    patch.undo()
    return SimpleNamespace(folder=folder, space=space, decision=decision, home=home)


@pytest.fixture
def passed(made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A copy of the set that one test may spoil, with its workspace beside it."""
    # A home of its own too: the newest head of a log that was seen is remembered there, and two copies that
    # go on differently would be a fork.
    shutil.copytree(made.home, tmp_path / "home")
    monkeypatch.setenv("GENEPOOL_HOME", str(tmp_path / "home"))
    folder = tmp_path / "set"
    shutil.copytree(made.folder, folder)
    shutil.copytree(made.space.root, tmp_path / "set.genepool")
    return SimpleNamespace(folder=folder, space=store.Workspace(tmp_path / "set.genepool"))


@pytest.fixture
def shared_set(made, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The set itself, for tests that only read."""
    monkeypatch.setenv("GENEPOOL_HOME", str(made.home))
    return made
