"""Injection on the labelled images: a dull set over the floor, the human share kept, or why not."""

from __future__ import annotations

import csv
import shutil

import numpy as np
import pytest

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


@pytest.fixture(scope="module")
def places(shared, tmp_path_factory):
    """A dull set (drawings, one painter, three tenths machine-made), and a broad reserve, half human."""
    base = tmp_path_factory.mktemp("real")
    table = rows(shared)
    rng = np.random.default_rng(0)

    def some(count, test):
        found = [row for row in table if test(row)]
        return [found[i] for i in np.sort(rng.choice(len(found), min(count, len(found)), replace=False))]

    drawings = some(60, lambda r: r["kind"] == "drawing")
    painter = some(25, lambda r: r["artist"] == "nicholas-roerich")
    human = some(90, lambda r: r["kind"] in ("painting", "photo") and r["artist"] != "nicholas-roerich")
    machine = some(90, lambda r: r["label"] == "ai")
    space = store.Workspace(base / "all.genepool")
    parts = {
        "set/human": drawings + painter,
        "set/ai": machine[:35],
        "reserve/human": human,
        "reserve/ai": machine[35:],
        "small": some(90, lambda r: r["kind"] == "drawing")[:12],
    }
    for name, chosen in parts.items():
        fill(base / name, shared, chosen)
    for name in ("set/human", "reserve/human", "small"):
        provenance.register_human(
            scanned(base / name, space.root), space, cohort=name.replace("/", "-"), config=CONFIG
        )
    provenance.register_model(space, "painter", [("set-human", 1.0)], config=CONFIG)
    for name in ("set/ai", "reserve/ai"):
        provenance.register_outputs(
            scanned(base / name, space.root),
            space,
            model="painter",
            cohort=name.replace("/", "-"),
            config=CONFIG,
        )
    return base


def test_a_reserve_lifts_a_dull_set_above_the_floor(places):
    plan = plan_injection(
        places / "set", reserve=places / "reserve", workspace=places / "all.genepool", config=CONFIG
    )
    assert plan.before.value < 0.60
    assert plan.accepted
    assert plan.after.lower >= 0.60
    assert plan.human[0] >= 0.70
    assert plan.human[1] >= 0.70
    assert plan.quality is not None
    assert -plan.quality.value <= 5.0


def test_a_reserve_too_small_is_named(places):
    plan = plan_injection(
        places / "set",
        reserve=places / "small",
        floor=0.97,
        quality_drop=float("inf"),
        workspace=places / "all.genepool",
        config=CONFIG,
    )
    assert plan.after.lower < 0.97
    text = " ".join(plan.reasons)
    assert "of 12 images" in text
    assert "out of reach" in text
    assert "are needed" in text
