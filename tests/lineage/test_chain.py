"""Real folders, a real log: a chain of models, found again without metadata, refused at generation 3."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genepool import gate, lineage, origin, provenance
from genepool.config import Config
from genepool.store import Workspace
from support.scans import fill, picture, scanned

# The share of the model's predecessor in its training set: 50 %, 80 %, 95 %.
SHARES = {2: 0.50, 3: 0.80, 4: 0.95}


def outputs(folder: Path, first: int, count: int = 4) -> Path:
    folder.mkdir(parents=True)
    for i in range(count):
        picture(1000 + first + i, 72).save(folder / f"o{i}.png")
    return folder


def strip(source: Path, out: Path) -> Path:
    """The same rasters as other files, nothing else kept."""
    out.mkdir(parents=True)
    for path in sorted(source.glob("*.png")):
        with Image.open(path) as image:
            bare = Image.fromarray(np.asarray(image.convert("RGB")))
        bare.save(out / f"{source.name}-{path.stem}.webp", lossless=True)
    return out


class World:
    """A workspace with a human cohort, and models registered one after the other."""

    def __init__(self, root: Path) -> None:
        self.root, self.space = root, root / "work"
        self.work = Workspace(self.space)
        self.human = fill(root / "human", 12)
        provenance.register_human(scanned(self.human, self.space), self.work, cohort="human", config=Config())

    def model(self, name: str, parts: list[tuple[str, float]], first: int, count: int = 4):
        provenance.register_model(self.work, name, parts, config=Config())
        folder = outputs(self.root / f"out-{name}", first, count)
        return folder, provenance.register_outputs(
            scanned(folder, self.space), self.work, model=name, cohort=f"out-{name}", config=Config()
        )

    def settled(self, folder: Path, config: Config | None = None):
        catalogue = scanned(folder, self.space)
        return catalogue, origin.settle(catalogue, self.work, config or Config())

    def judged(self, folder: Path, **changes):
        config = Config().with_(**changes)
        catalogue, origins = self.settled(folder, config)
        return gate.decide(gate.measure(catalogue, origins, self.work, config), config)


def codes(decision):
    return {failure.code for failure in decision.failures}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("keys")
        patch.setenv("GENEPOOL_HOME", str(home))
        patch.delenv("GENEPOOL_KEY", raising=False)
        patch.delenv("GENEPOOL_WORKSPACE", raising=False)
        world = World(tmp_path_factory.mktemp("chain"))
        world.home = home
        world.model("M1", [("human", 1.0)], 0)
        for k, share in SHARES.items():
            world.model(f"M{k}", [("human", 1 - share), (f"out-M{k - 1}", share)], 10 * k)
        for k in (1, 2, 3, 4):
            strip(world.root / f"out-M{k}", world.root / f"bare-{k}")
        yield world


def same_home(world, monkeypatch):
    """The key that registered everything, trusted in this test too."""
    monkeypatch.setenv("GENEPOOL_HOME", str(world.home))


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_outputs_have_generations_one_to_four(world, monkeypatch, k):
    same_home(world, monkeypatch)
    _, origins = world.settled(world.root / f"out-M{k}")
    assert set(zip(origins["lo"].to_pylist(), origins["hi"].to_pylist(), strict=True)) == {(k, k)}
    # Stripped of name, container and metadata, the raster alone brings the generation back.
    _, bare = world.settled(world.root / f"bare-{k}")
    assert set(zip(bare["lo"].to_pylist(), bare["hi"].to_pylist(), strict=True)) == {(k, k)}
    assert set(bare["model"].to_pylist()) == {f"M{k}"}


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_sets_are_refused_as_soon_as_they_hold_generation_three(world, monkeypatch, k, tmp_path):
    same_home(world, monkeypatch)
    mixed = tmp_path / "mixed"
    fill(mixed, 12)  # the registered human pictures
    strip(world.root / f"out-M{k}", mixed / "new")
    # The ratio rule says 75 % human whatever the generation is; the generation rule decides by itself.
    decision = world.judged(mixed)
    assert ("GP401" in codes(decision)) is (k >= 3)
    assert "GP101" not in codes(decision), [f.message for f in decision.failures]
    if k >= 3:
        failure = next(f for f in decision.failures if f.code == "GP401")
        assert failure.status == "fail"
        assert len(failure.cases) == 4
        assert all(case.uri.startswith("new/") for case in failure.cases)
        assert f"generation {k} or later, the maximum is 2" in failure.cases[0].message
    assert decision.extra["generations"] == {"0": 12, str(k): 4}


@pytest.mark.parametrize(
    ("rule", "limit", "refused"),
    [
        # F of M1 … M4 is .00, .16, .39, .64 (twelve founders); retention at b² = .8 is .80, .72, .62, .51.
        ("inbreeding", 0.25, {3, 4}),
        ("inbreeding", 0.10, {2, 3, 4}),
        ("inbreeding", 1.0, set()),
        ("retention", 0.60, {4}),
        ("retention", 0.75, {2, 3, 4}),
        ("retention", 0.0, set()),
    ],
)
def test_rules_by_inbreeding_and_retention(world, monkeypatch, rule, limit, refused):
    same_home(world, monkeypatch)
    for k in (1, 2, 3, 4):
        decision = world.judged(
            world.root / f"out-M{k}", generation__rule=rule, **{f"generation__{rule}": limit}
        )
        assert ("GP401" in codes(decision)) is (k in refused), k
        line = decision.measures[rule]
        assert line.bound == limit
        assert line.bound_kind == ("ceiling" if rule == "inbreeding" else "floor")
        assert decision.measures["generation"].bound is None
        if k in refused:
            message = next(f for f in decision.failures if f.code == "GP401").cases[0].message
            assert f"{line.value:.3f}" in message


def test_coefficients_are_the_pedigrees(world, monkeypatch):
    same_home(world, monkeypatch)
    p = lineage.Pedigree()
    p.add_founders("human", 12)
    p.add_model("M1", "human")
    for k, share in SHARES.items():
        p.add_model(f"M{k}", {"human": 1 - share, f"M{k - 1}": share})
    decision = world.judged(world.root / "out-M4", generation__rule="inbreeding")
    assert decision.measures["inbreeding"].value == pytest.approx(p.inbreeding("M4"))
    decision = world.judged(world.root / "out-M3", generation__rule="retention", generation__b2=0.5)
    assert decision.measures["retention"].value == pytest.approx(p.expected_retention("M3", 0.5))
    nodes = {node["name"]: node for node in decision.extra["lineage"]["nodes"]}
    assert nodes["M3"]["inbreeding"]["value"] == pytest.approx(p.inbreeding("M3"))
    assert nodes[origin.SET]["parts"] == {"M3": 1.0}


def test_stray_images_are_tolerated_only_as_far_as_stated(world, monkeypatch):
    same_home(world, monkeypatch)
    folder, done = world.model("stray", [("human", 0.96), ("out-M2", 0.04)], 500)
    assert done.generation == (3, 3)
    assert "GP401" in codes(world.judged(folder))
    assert "GP401" in codes(world.judged(folder, generation__tolerance=0.03))
    decision = world.judged(folder, generation__tolerance=0.04)
    assert "GP401" not in codes(decision)
    assert decision.measures["generation"].value == 1.0
    assert "passing over 4.0%" in decision.measures["generation"].method
    # The record itself does not change: the strict generation stays in view.
    assert decision.extra["generations"]["3"] == 4


def test_of_unknown_ancestry_no_rule_believes_anything(world, monkeypatch):
    same_home(world, monkeypatch)
    folder, done = world.model("dark", [("human", 0.9), ("unknown", 0.1)], 700)
    assert done.generation == (1, None)
    for rule in ("number", "inbreeding", "retention"):
        decision = world.judged(folder, generation__rule=rule, generation__unknown="fail")
        assert "GP402" in codes(decision), rule
        excluded = world.judged(folder, generation__rule=rule)
        assert len(excluded.set_aside) == 4


def test_a_chain_of_ten_reads_ten_also_without_metadata(tmp_path):
    world = World(tmp_path)
    world.model("L1", [("human", 1.0)], 0, count=2)
    for k in range(2, 11):
        world.model(f"L{k}", [(f"out-L{k - 1}", 1.0)], 10 * k, count=2)
    _, origins = world.settled(strip(tmp_path / "out-L10", tmp_path / "bare"))
    assert origins["lo"].to_pylist() == origins["hi"].to_pylist() == [10, 10]
    found = origin.lineage_of(origins)
    assert found.pedigree.generation("L10") == (10, 10)
    assert found.pedigree.mean_generation(origin.SET) == pytest.approx(10)
    assert "L10" in found.believed


def test_a_model_that_names_a_withdrawn_collection(tmp_path):
    world = World(tmp_path)
    folder, done = world.model("M1", [("human", 1.0)], 0)
    assert done.generation == (1, 1)
    provenance.withdraw(world.work, cohort="human", config=Config())
    _, origins = world.settled(folder)
    assert origins["hi"].to_pylist() == [None] * 4
    found = origin.lineage_of(origins)
    assert any("'M1' was trained on 'human', which was withdrawn" in text for text in found.findings)
    decision = world.judged(folder, generation__unknown="fail")
    assert "GP402" in codes(decision)
    assert any("withdrawn" in text for text in decision.extra["lineage"]["findings"])


def test_captions_by_who_wrote_them(tmp_path):
    import json

    world = World(tmp_path)
    folder = outputs(tmp_path / "captioned", 0, 6)
    sources = ["machine", "machine", "human", None, "machine"]
    lines = [
        {"file": f"o{i}.png", "caption": f"a picture {i}", **({"caption_source": s} if s else {})}
        for i, s in enumerate(sources)
    ]
    (folder / "genepool.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    found = world.judged(folder).extra["captions"]
    assert {k: found[k] for k in ("captions", "machine", "human", "unstated")} == {
        "captions": 5,
        "machine": 3,
        "human": 1,
        "unstated": 1,
    }
    assert found["machine_share"] == {"lower": 0.6, "upper": 0.8, "n": 5}
    assert world.judged(world.human).extra["captions"] == {}
