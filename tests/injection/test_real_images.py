"""Injection on the labelled images: a dull set over the floor, the human share kept, or why not."""

from __future__ import annotations

import csv
import shutil

import numpy as np
import pytest
from PIL import Image

from genepool import provenance, store
from genepool.config import Config
from genepool.injection import plan_injection
from support.scans import scanned

pytestmark = pytest.mark.shared
CONFIG = Config().with_(engine__workers=1)


def rows(shared):
    with (shared / "images.csv").open(newline="") as file:
        return [row for row in csv.DictReader(file) if not row["tiles"]]


def fill(folder, shared, chosen):
    folder.mkdir(parents=True)
    for i, row in enumerate(chosen):
        source = shared / "images" / row["path"]
        shutil.copyfile(source, folder / f"{i:04}{source.suffix}")


@pytest.fixture
def places(shared, tmp_path):
    """A dull set (drawings, and three tenths of one generator), and a broad reserve, half of it human."""
    table = rows(shared)
    rng = np.random.default_rng(0)

    def some(count, test):
        found = [row for row in table if test(row)]
        return [found[i] for i in np.sort(rng.choice(len(found), count, replace=False))]

    machine = some(60, lambda r: r["label"] == "ai" and r["generator"] != "sdxl-thumb128")
    parts = {
        "set/human": some(72, lambda r: r["kind"] == "drawing"),
        "set/ai": some(30, lambda r: r["generator"] == "sdxl-thumb128"),
        "reserve/human": some(60, lambda r: r["kind"] in ("painting", "photo")),
        "reserve/ai": machine,
    }
    space = store.Workspace(tmp_path / "all.genepool")
    for name, chosen in parts.items():
        fill(tmp_path / name, shared, chosen)
        catalogue, cohort = scanned(tmp_path / name, space.root), name.replace("/", "-")
        if name.endswith("human"):
            provenance.register_human(catalogue, space, cohort=cohort, config=CONFIG)
            continue
        if name == "set/ai":
            provenance.register_model(space, "painter", [("set-human", 1.0)], config=CONFIG)
        provenance.register_outputs(catalogue, space, model="painter", cohort=cohort, config=CONFIG)
    return tmp_path


def test_a_reserve_lifts_a_dull_set_above_the_floor(places):
    plan = plan_injection(
        places / "set", reserve=places / "reserve", workspace=places / "all.genepool", config=CONFIG
    )
    assert plan.before.lower < 0.60
    assert plan.accepted
    assert plan.after.lower >= 0.60
    assert plan.human[0] >= 0.70
    assert plan.human[1] >= 0.70
    assert plan.quality is not None
    assert -plan.quality.value <= 5.0


def test_a_reserve_too_small_is_named(shared, tmp_path):
    table = [row for row in rows(shared) if row["kind"] == "drawing"]
    image = Image.open(shared / "images" / table[0]["path"]).convert("RGB")
    (tmp_path / "set").mkdir()
    for i in range(40):
        # Views of one drawing: cut, turned, a little lighter or darker.
        cut = image.crop((i, 2 * (i % 7), image.width - i, image.height - i % 5)).rotate(i % 4 * 90)
        cut.point(lambda v, i=i: min(255, int(v * (0.8 + i / 100)))).save(tmp_path / "set" / f"{i:02}.png")
    fill(tmp_path / "reserve", shared, table[1:4])
    plan = plan_injection(
        tmp_path / "set", reserve=tmp_path / "reserve", quality_drop=float("inf"), config=CONFIG
    )
    assert plan.after.lower < 0.60
    text = " ".join(plan.reasons)
    assert "of 3 images of the reserve" in text
    assert "out of reach" in text
    assert "are needed" in text
