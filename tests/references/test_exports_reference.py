"""Exports as the tools that they are for read them, by the tool's own loader.

FiftyOne and Label Studio answered in environments of their own (``make oracles``); their answers hold for the
very bytes that are written here. mlcroissant, datasets and huggingface_hub are asked directly.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import warnings
from pathlib import Path

import pytest
from PIL import Image

from genepool import dataset
from support.exports import TABLE, facts, write_exports

FIXTURES = Path(__file__).parent / "fixtures"
WORDS = {name: caption or None for name, caption, _, _ in TABLE}


@pytest.fixture(scope="module")
def exports(tmp_path_factory):
    root = tmp_path_factory.mktemp("exports")
    return write_exports(root, ("csv", "croissant", "fiftyone", "label-studio", "imagefolder", "parquet"))


def recorded(tool: str) -> dict:
    return json.loads((FIXTURES / f"export_{tool}.json").read_text("utf-8"))


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def sources(folder: Path) -> dict[str, str]:
    """Where an image lies in the export → where it came from."""
    lines = (folder / "manifest.jsonl").read_text("utf-8").splitlines()
    return {line["uri"]: line["source"] for line in map(json.loads, lines)}


def test_fiftyone_read_every_label_and_attribute(exports):
    answer = recorded("fiftyone")
    assert answer["index"] == digest(exports / "fiftyone" / "labels.json"), "make oracles: the export changed"
    came = sources(exports / "fiftyone")
    assert set(answer["samples"]) == set(came)
    for uri, sample in answer["samples"].items():
        known = {key.removeprefix("genepool_"): value for key, value in facts(came[uri]).items()}
        wanted = {"label": known.pop("origin"), "caption": WORDS[came[uri]], **known}
        assert sample == {key: value for key, value in wanted.items() if value is not None}


def test_label_studio_accepts_every_task_and_shows_no_conclusion(exports):
    answer, folder = recorded("label_studio"), exports / "label-studio"
    assert answer["index"] == digest(folder / "tasks.json"), "make oracles: the export changed"
    assert answer["config"] == digest(folder / "label-config.xml")
    assert all(task["valid"] for task in answer["tasks"])
    tasks = json.loads((folder / "tasks.json").read_bytes())
    assert [task["objects"]["image"] for task in answer["tasks"]] == [task["data"]["image"] for task in tasks]
    came = sources(folder)
    for task in tasks:
        assert set(task) == {"data"}, "no prediction that a person would follow"
        name = came[task["data"]["file"]]
        assert task["data"]["caption"] == (WORDS[name] or "")
        assert task["data"]["sha256"] == digest(folder / task["data"]["file"])
        assert task["data"]["genepool_origin"] == facts(name)["genepool_origin"]
    assert "genepool_" not in (folder / "label-config.xml").read_text("utf-8")


def test_croissant_loads_pictures_and_rows(exports):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library's own dependencies deprecate this and that
        mlcroissant = pytest.importorskip("mlcroissant")
        found = mlcroissant.Dataset(jsonld=str(exports / "croissant" / "croissant.json"))
        records = list(found.records("images"))
    came = list(sources(exports / "croissant").values())
    assert len(records) == len(came) == len(TABLE)
    for name, record in zip(came, records, strict=True):
        row = {key.removeprefix("images/"): value for key, value in record.items()}
        row = {key: value.decode() if isinstance(value, bytes) else value for key, value in row.items()}
        assert row.pop("image").size == ((1, 1) if name.endswith(".gif") else (8, 8))
        assert row.pop("caption") == WORDS[name]
        assert (row.pop("genepool") or "{}").startswith("{")
        assert row == facts(name)
    assert found.metadata.name == "atelier set"


def test_csv_is_read_by_the_standard_library_and_by_us(exports):
    with (exports / "csv" / "metadata.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["file_name"]: row for row in csv.DictReader(file)}
    assert set(rows) == set(WORDS)
    for name, row in rows.items():
        assert row["text"] == (WORDS[name] or "")
        for key, value in facts(name).items():
            told = str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)
            assert row[key] == told
    # What genepool concluded is not read back as what somebody claims.
    again = {sample.item.uri: sample for sample in dataset.open(exports / "csv")}
    for name, caption, declared, _ in TABLE:
        assert again[name].caption == (caption or None)
        claims = {k: v for k, v in (again[name].declared or {}).items() if k != "caption"}
        assert claims == declared


def test_hugging_face_loads_table_captions_and_conclusions(exports, tmp_path):
    datasets = pytest.importorskip("datasets")
    parts = [str(p) for p in (exports / "parquet" / "data").iterdir()]
    held = datasets.Dataset.from_parquet(parts, cache_dir=str(tmp_path))
    assert isinstance(held.features["image"], datasets.Image)
    came = list(sources(exports / "parquet").values())
    for name, row in zip(came, held, strict=True):
        assert row["image"].size == ((1, 1) if name.endswith(".gif") else (8, 8))
        assert {key: row[key] for key in facts(name)} == facts(name)
        assert row["caption"] == WORDS[name]
    lines = (exports / "imagefolder" / "metadata.jsonl").read_text("utf-8").splitlines()
    for line in map(json.loads, lines):
        assert {key: line[key] for key in facts(line["file_name"])} == facts(line["file_name"])
        assert Image.open(io.BytesIO((exports / "imagefolder" / line["file_name"]).read_bytes())).size
