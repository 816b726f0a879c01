"""Images that wait for each other: the same rows as alone, whatever goes wrong in company."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image

from genepool import dataset
from genepool.config import Config
from genepool.engine import LocalEngine
from genepool.scan import _unit, scan
from support.scans import encoded, fill, rows, scanned, use_probes


class Together:
    """A probe that likes company."""

    name, version = "together", "1"
    columns: ClassVar = {"mean": "float"}
    vectors: ClassVar = {}
    remarks = ("in company",)

    def __init__(self, batch: int, how: str = "") -> None:
        self.batch, self.how = batch, how
        self.seen: list[int] = []

    def prepare(self) -> None:
        pass

    def foresee(self, views: Any) -> None:
        self.seen.append(len(views))
        if self.how == "raise":
            raise RuntimeError("no company today")
        for view in views:
            view.once("mean", lambda view=view: float(view.pixels.mean()))

    def examine(self, view: Any) -> dict[str, float]:
        if self.how != "raise" and self.batch > 1 and len(self.seen) and self.seen[-1] > 1:
            assert view.held("mean")
        return {"mean": view.once("mean", lambda: float(view.pixels.mean()))}


def folder_of(tmp_path):
    folder = fill(tmp_path / "set", 11)
    (folder / "004.jpg").write_bytes(b"broken")
    (folder / "zz.png").write_bytes(encoded(Image.new("RGB", (3, 3)), "PNG"))
    return folder


@pytest.mark.parametrize("how", ["", "raise"])
def test_rows_are_those_of_images_alone(tmp_path, monkeypatch, how):
    folder = folder_of(tmp_path)
    found = []
    for batch in (1, 4):
        probe = Together(batch, how)
        use_probes(monkeypatch, probe)
        catalogue = scanned(folder, tmp_path / f"w{batch}")
        found.append((rows(catalogue), catalogue.root(), [c.uri for c in catalogue.cases()], catalogue.plan))
    assert found[0] == found[1]
    assert (sum(probe.seen), max(probe.seen)) == (11, 4)  # the broken one is seen by nobody
    assert catalogue.stats.remarks == ("in company",)


def test_a_stranger_may_mean_something_else_by_these_words(tmp_path, monkeypatch):
    probe = Together(1)
    probe.batch, probe.remarks = lambda: 5, 7
    probe.examine = lambda view: {"mean": 0.0}
    use_probes(monkeypatch, probe)
    catalogue = scanned(fill(tmp_path / "set", 3), tmp_path / "w")
    assert (catalogue.n, catalogue.stats.remarks, probe.seen) == (3, (), [])


def test_large_images_do_not_wait(tmp_path, monkeypatch):
    monkeypatch.setattr(_unit, "_TOGETHER", 96 * 96 * 2)
    probe = Together(100)
    use_probes(monkeypatch, probe)
    scanned(fill(tmp_path / "set", 6), tmp_path / "w")
    assert probe.seen == [2, 2, 2]


def test_the_models_that_ship_write_the_same_catalogue_in_any_batch(tmp_path):
    folder = fill(tmp_path / "set", 7, size=200)
    (folder / "small.jpg").write_bytes(encoded(Image.effect_noise((60, 90), 40).convert("RGB")))
    found = []
    for batch in (0, 3):
        opened = dataset.open(str(folder), workspace=str(tmp_path / f"w{batch}"))
        config = Config().with_(compute__batch=batch)
        catalogue = scan(opened, config=config, engine=LocalEngine(inline=True))
        vectors = {name: np.concatenate(list(catalogue.vectors(name))) for name in catalogue.dims}
        found.append((rows(catalogue), catalogue.plan, vectors))
    (alone, plan, apart), (together, same, shared) = found
    assert alone == together
    assert plan == same
    for name in apart:
        assert np.array_equal(apart[name], shared[name], equal_nan=True)
