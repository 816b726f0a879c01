"""The seed's promise: its calls in its order, on every kind of dataset."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from PIL import Image

import genepool
from support.galleries import crops, shards, write

SEED = Path(__file__).parents[3] / "shared" / "seed" / "program.py"
KINDS = ["folder", "pil", "dataset", "huggingface", "webdataset"]


class Pipeline:
    """The seed's calls in the seed's order, in our words."""

    def __init__(self):
        self.provenance_tracker = genepool.DataProvenanceBlockchain()
        self.synthetic_detector = genepool.SyntheticContentDetector(threshold=0.94)
        self.diversity_monitor = genepool.StyleDiversityIndex()
        self.human_validator = genepool.HumanInLoopValidator()

    def validate_training_data(self, dataset):
        self.origins = self.provenance_tracker.verify_origins(dataset)
        self.ratio = self.synthetic_detector.get_human_content_ratio(dataset)
        if self.ratio < 0.70:
            raise ValueError("Insufficient human-created content")
        self.diversity = self.diversity_monitor.calculate(dataset)
        if self.diversity < 0.60:
            dataset = self.inject_diversity(dataset)
        return dataset


def original():
    """The seed's program as it stands, where it is there."""
    if not SEED.exists():
        pytest.skip("the seed's program (../shared/seed) is not here")
    spec = importlib.util.spec_from_file_location("seed_program", SEED)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.SustainableAITrainingPipeline


def as_kind(kind: str, folder: Path, tmp_path: Path):
    """The same pictures as another kind of dataset."""
    files = sorted(folder.rglob("*.jpg"))
    if kind == "folder":
        return str(folder)
    if kind == "dataset":
        return genepool.open(folder)
    if kind == "pil":
        images = []
        for path in files:
            with Image.open(path) as image:
                image.load()
                images.append(image)
        return images
    if kind == "huggingface":
        datasets = pytest.importorskip("datasets")
        data = datasets.Dataset.from_dict({"image": [str(path) for path in files]})
        return data.cast_column("image", datasets.Image())
    return str(shards(folder, tmp_path / "shards"))


def register(folder: Path, workspace: Path) -> None:
    from genepool import config, dataset, provenance, scan, store

    opened = dataset.open(folder)
    place = store.workspace_for(opened, workspace)
    catalogue = scan.scan(opened, place)
    provenance.register_human(catalogue, place, config=config.Config())


@pytest.fixture
def home(tmp_path, monkeypatch):
    """One workspace for everything that a test opens."""
    workspace = tmp_path / "workspace"
    monkeypatch.setenv("GENEPOOL_WORKSPACE", str(workspace))
    return workspace


@pytest.mark.parametrize("kind", KINDS)
def test_a_registered_human_majority_comes_back(kind, gallery, tmp_path, home):
    folder = gallery(120, 12)
    register(folder / "human", home)
    data = as_kind(kind, folder, tmp_path)
    pipeline = Pipeline()
    assert pipeline.validate_training_data(data) is data
    assert float(pipeline.ratio) == pipeline.ratio.lower == pytest.approx(120 / 132)
    assert pipeline.ratio.upper == 1.0
    assert pipeline.diversity.lower <= pipeline.diversity <= pipeline.diversity.upper
    assert pipeline.diversity >= 0.60


@pytest.mark.parametrize("kind", KINDS)
def test_a_set_below_the_floor_raises_the_value_error(kind, gallery, tmp_path, home):
    folder = gallery(30, 20)
    register(folder / "human", home)
    with pytest.raises(ValueError, match="Insufficient human-created content"):
        Pipeline().validate_training_data(as_kind(kind, folder, tmp_path))


def test_a_subclass_with_our_injection_raises_the_index_of_a_dull_set(tmp_path, photos, home, caplog):
    class Injecting(Pipeline):
        def inject_diversity(self, dataset):
            return genepool.inject_diversity(dataset)

    # Many nearly equal views of one photograph beside a few different ones.
    dull = tmp_path / "dull"
    write(dull, crops({"chelsea": photos["chelsea"]}, 160, seed=3), "dull")
    write(dull, crops(photos, 40, seed=4), "rich")
    register(dull, home)
    pipeline = Injecting()
    before = pipeline.diversity_monitor.calculate(str(dull))
    assert before < 0.60
    result = pipeline.validate_training_data(str(dull))
    after = pipeline.diversity_monitor.calculate(result)
    assert after > before
    assert after.lower > before.lower
    assert len(result) < 200
    kept = genepool.SustainableAITrainingPipeline().validate_training_data(str(dull))
    assert f"{200 - len(kept)} of 200 images were left out" in caplog.text


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.shared
def test_the_original_program_returns_a_good_set(kind, gallery, tmp_path, home):
    folder = gallery(120, 12)
    register(folder / "human", home)
    data = as_kind(kind, folder, tmp_path)
    assert original()().validate_training_data(data) is data


@pytest.mark.shared
def test_the_original_program_refuses_a_poor_set(gallery, home):
    folder = gallery(30, 20)
    register(folder / "human", home)
    with pytest.raises(ValueError, match="Insufficient human-created content"):
        original()().validate_training_data(str(folder))


def test_our_pipeline_returns_a_good_set_and_records_the_decision(gallery, home):
    folder = gallery(120, 12)
    register(folder / "human", home)
    pipeline = genepool.SustainableAITrainingPipeline()
    assert pipeline.validate_training_data(folder) is folder
    assert pipeline.decision
    assert (home / "decision.json").exists()
    assert (home / "report.html").exists()


def test_our_pipeline_raises_with_the_number_of_images_that_are_missing(gallery, home):
    folder = gallery(30, 20)
    register(folder / "human", home)
    with pytest.raises(genepool.InsufficientHumanContent, match="5 more of the 50 images"):
        genepool.SustainableAITrainingPipeline().validate_training_data(folder)


def test_our_pipeline_enforces_generations(gallery, home):
    from genepool import config, dataset, provenance, scan, store

    folder = gallery(120, 12)
    register(folder / "human", home)
    c = config.Config()
    opened = dataset.open(folder / "other")
    place = store.workspace_for(opened, home)
    provenance.register_model(place, "m1", [("human", None)], config=c)
    provenance.register_model(place, "m2", [("m1", None)], config=c)
    provenance.register_model(place, "m3", [("m2", None)], config=c)
    provenance.register_outputs(scan.scan(opened, place), place, model="m3", config=c)
    with pytest.raises(genepool.GateError, match="GP401 12 images above generation 2"):
        genepool.SustainableAITrainingPipeline().validate_training_data(folder)
