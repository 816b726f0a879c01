"""The whole circle: human work → check → training → signed outputs → found again → refused at the third."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import genepool
from genepool import dataset, provenance, scan, store
from genepool.integrations import GatedDataset, GatedLoader, OutputFolder, TrainingRun
from support.galleries import crops, write

pytest.importorskip("torch")

HUMAN, MIXED, STEPS = 180, 20, 80


@pytest.fixture
def studio(tmp_path: Path):
    """A workspace for all rounds, and the human folder registered in its log."""
    return store.Workspace(tmp_path / "studio.genepool").create()


def train(name: str, checked, space, seed: int):
    """Train a real generator through the gate and register it."""
    from genepool.lab import PictureVAE

    pictures = GatedDataset(checked, workspace=space, size=32)
    loader = GatedLoader(pictures, 30, seed=seed)
    shares = []

    def batches():
        for batch in loader:
            shares.append(float(batch["human"].float().mean()))
            yield batch

    with TrainingRun(pictures, name) as run:
        model = PictureVAE(seed=seed, latent=24, width=8).fit(batches, STEPS)
    assert min(shares) >= 0.70
    # It has learned something: the error is well below that of its first steps.
    assert sum(model.losses[-10:]) < 0.6 * sum(model.losses[:10])
    return model, run.registration


def stripped(source: Path, target: Path, count: int) -> None:
    """Save pictures again, losslessly, without any metadata."""
    target.mkdir(parents=True)
    for i, path in enumerate(sorted(source.glob("*.png"))[:count]):
        with Image.open(path) as image:
            bare = Image.fromarray(np.asarray(image))
        bare.save(target / f"found{i:03}.png", compress_level=9)
        assert b"c2pa" in path.read_bytes()
        assert b"c2pa" not in (target / f"found{i:03}.png").read_bytes()


def test_the_whole_circle(tmp_path: Path, photos: dict, studio):
    people = tmp_path / "people"
    write(people, crops(photos, HUMAN, seed=1, side=96), "h")
    opened = dataset.open(people, workspace=str(studio.root))
    attested = provenance.register_human(scan.scan(opened, studio), studio, origin="captured")
    assert attested.new == HUMAN
    checked, decision = opened, genepool.check(opened)
    assert decision, decision.failures

    for generation in (1, 2, 3):
        model, registered = train(f"painter-{generation}", checked, studio, seed=generation)
        assert registered.generation == (generation, generation)
        outputs = tmp_path / f"outputs-{generation}"
        with OutputFolder(outputs, f"painter-{generation}", workspace=studio, c2pa=True) as folder:
            folder.add(model.sample(500 if generation == 1 else MIXED, seed=generation))
        assert folder.registration.new == (500 if generation == 1 else MIXED)
        assert folder.registration.generation == (generation, generation)
        assert folder.signed.n == folder.registration.new

        # The next set: the people's work, and some of these pictures as somebody finds them on the web.
        mixed = tmp_path / f"set-{generation}"
        mixed.mkdir()
        for path in people.glob("*.jpg"):
            (mixed / path.name).hardlink_to(path)
        stripped(outputs, mixed / "web", MIXED)
        checked = dataset.open(mixed, workspace=str(studio.root))
        decision = genepool.check(checked)
        assert decision.extra["generations"] == {"0": HUMAN, str(generation): MIXED}
        codes = [failure.code for failure in decision.failures]
        if generation < 3:
            assert decision, decision.failures
        else:
            assert codes == ["GP401"]
            assert {c.uri.split("/")[0] for c in decision.failures[0].cases} == {"web"}
    with pytest.raises(genepool.GateError, match="GP401"):
        GatedDataset(checked, workspace=studio, size=32)
