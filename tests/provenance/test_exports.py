"""Every export is read and validated by the library of the people who made the format."""

from __future__ import annotations

import io
import json
import warnings
from pathlib import Path
from typing import Any

import jsonschema
import orjson
import pytest

from genepool import provenance
from genepool.cli._main import main
from genepool.errors import UsageError
from genepool.provenance import About, Trail, open_trail, render
from genepool.store import Workspace
from support.ledgers import digest, images, workspace

AT = 1_780_000_000
ABOUT = About(
    name="Lighthouses",
    description="Pictures of lighthouses.",
    license="https://creativecommons.org/licenses/by/4.0/",
    url="https://example.org/lighthouses",
    creator="The keepers",
    at=AT,
)
SCHEMA = Path(provenance.__file__).with_name("eu_summary.schema.json")


@pytest.fixture
def space(tmp_path: Path) -> Workspace:
    """Two human cohorts, a model and its outputs (one made from a photograph), a checked set."""
    place = workspace(tmp_path)
    provenance.register_human(images(3, "photo"), place, cohort="photos", origin="captured")
    provenance.register_human(images(2, "drawing"), place, cohort="drawings", artist="Ada Adams")
    provenance.register_model(place, "painter", [("photos", 0.75), ("drawings", 0.25)])
    made = images(4, "made")
    made.declared["made-0.png"] = json.dumps({"parents": [digest("photo-0.png").hex()]})
    provenance.register_outputs(made, place, model="painter", cohort="outputs")
    provenance.register_model(place, "copyist", [("outputs", 0.5), ("unknown", None)], base="painter")
    checked = images(3, "photo")
    provenance.seal(place, checked, checked.origins("captured", 0, 0), {"status": "pass", "measures": {}})
    return place


@pytest.fixture
def trail(space: Workspace) -> Trail:
    return open_trail(space)


def one(trail: Trail, kind: str, about: About = ABOUT) -> Any:
    (data,) = render(trail, kind, "x.json", about).values()
    return orjson.loads(data)


def test_the_lines_say_what_the_log_says(trail: Trail) -> None:
    (data,) = render(trail, "jsonl", "x.jsonl", ABOUT).values()
    lines = [orjson.loads(line) for line in data.splitlines()]
    assert [line["sha256"] for line in lines] == sorted(line["sha256"] for line in lines)
    by = {line["sha256"]: line for line in lines}
    assert len(by) == 9
    photo, made = by[digest("photo-0.png").hex()], by[digest("made-0.png").hex()]
    assert (photo["origin"], photo["basis"], photo["cohort"]) == ("captured", "checked", "photos")
    assert (photo["generation_lo"], photo["generation_hi"]) == (0, 0)
    assert photo["pixel"] == digest("photo-0.png raster").hex()
    assert (made["origin"], made["basis"], made["model"]) == ("synthetic", "attested", "painter")
    assert (made["generation_lo"], made["generation_hi"]) == (1, 1)
    assert made["parents"] == [digest("photo-0.png").hex()]
    assert b"Ada Adams" not in data
    # Every line names a leaf that proves it.
    ledger = provenance.Ledger.open(Path(trail.logs[0].path), verifiers=[trail.logs[0].verifier])
    for line in lines:
        assert line["sha256"].encode() in ledger.entry(line["index"])


def test_a_strangers_human_claim_is_exported_as_a_claim(
    tmp_path: Path, trail: Trail, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = workspace(tmp_path, "other")
    with monkeypatch.context() as patch:
        patch.setenv("GENEPOOL_HOME", str(tmp_path / "stranger"))
        provenance.register_human(images(1, "odd"), other, cohort="odd")
    (data,) = render(open_trail(other), "jsonl", "x").values()
    line = orjson.loads(data)
    assert (line["origin"], line["basis"], line["generation_hi"]) == ("unknown", "claimed", None)
    assert (line["cohort"], line["key"]) != ("", "")


def test_croissant_is_valid_and_its_records_load(trail: Trail, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library's own dependencies deprecate this and that
        import mlcroissant

        files = render(trail, "croissant", "set.croissant.json", ABOUT)
        assert list(files) == ["set.croissant.json", "set.origins.jsonl"]
        for name, data in files.items():
            (tmp_path / name).write_bytes(data)
        found = mlcroissant.Dataset(jsonld=str(tmp_path / "set.croissant.json"))
        issues = found.metadata.ctx.issues
        assert not issues.errors
        assert {str(text) for text in issues.warnings if "citeAs" not in str(text)} == set()
        assert found.metadata.name == "Lighthouses"
        assert found.metadata.data_limitations
        assert found.metadata.data_biases[0].startswith("Composition by origin: synthetic 4")
        assert found.metadata.personal_sensitive_information
        records = list(found.records("images"))
    assert len(records) == 9
    wanted = {
        digest("made-0.png").hex().encode(): b"synthetic",
        digest("photo-0.png").hex().encode(): b"captured",
    }
    got = {record["images/sha256"]: record["images/origin"] for record in records}
    assert {sha: got[sha] for sha in wanted} == wanted


def test_croissant_notices_a_changed_table(trail: Trail, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlcroissant

        for name, data in render(trail, "croissant", "set.json", ABOUT).items():
            changed = data.replace(b'"captured"', b'"synthetic"') if name.endswith("jsonl") else data
            (tmp_path / name).write_bytes(changed)
        body = json.loads((tmp_path / "set.json").read_text())
        table = (tmp_path / "set.origins.jsonl").read_bytes()
        from hashlib import sha256

        assert body["distribution"][0]["sha256"] != sha256(table).hexdigest()
        body["recordSet"][0]["field"][0]["source"]["fileObject"]["@id"] = "missing"
        (tmp_path / "set.json").write_text(json.dumps(body))
        with pytest.raises(mlcroissant.ValidationError):
            mlcroissant.Dataset(jsonld=str(tmp_path / "set.json"))


def test_prov_is_read_and_means_what_it_should(trail: Trail) -> None:
    from prov.model import ProvDerivation, ProvDocument, ProvEntity, ProvUsage

    (data,) = render(trail, "prov", "x.json", ABOUT).values()
    document = ProvDocument.deserialize(content=data.decode(), format="json")
    entities = {entity.label: entity for entity in document.get_records(ProvEntity)}
    assert {"photos", "drawings", "outputs", "painter", "copyist", "unknown", "Lighthouses"} <= set(entities)
    derived = {
        tuple(str(value) for _, value in record.formal_attributes[:2])
        for record in document.get_records(ProvDerivation)
    }

    def names(child: str, parent: str) -> tuple[str, str]:
        return str(entities[child].identifier), str(entities[parent].identifier)

    for pair in (
        ("painter", "photos"),
        ("outputs", "painter"),
        ("copyist", "outputs"),
        ("copyist", "painter"),
    ):
        assert names(*pair) in derived
    made, photo = (f"g:sha256-{digest(name).hex()}" for name in ("made-0.png", "photo-0.png"))
    assert (made, photo) in derived
    shares = {str(value) for use in document.get_records(ProvUsage) for _, value in use.extra_attributes}
    assert shares == {"0.75", "0.25", "0.5"}
    # Nothing is lost on the way through the library's own model.
    again = ProvDocument.deserialize(content=document.serialize(format="json"), format="json")
    assert again == document
    assert "entity(" in document.get_provn()


def test_spdx_is_valid(trail: Trail) -> None:
    from spdx_python_model import v3_0_1 as spdx

    (data,) = render(trail, "spdx", "x.json", ABOUT).values()
    objects = spdx.SHACLObjectSet()
    spdx.JSONLDDeserializer().read(io.BytesIO(data), objects)
    spdx.JSONLDSerializer().write(objects, io.BytesIO())  # refuses what lacks a required property
    assert not objects.link()
    sets = {one.name: one for one in objects.foreach_type(spdx.dataset_DatasetPackage)}
    assert set(sets) == {"Lighthouses", "photos", "drawings", "outputs"}
    assert sets["Lighthouses"].dataset_datasetSize == 9
    assert sets["Lighthouses"].dataset_datasetType == [spdx.dataset_DatasetType.image]
    for one in sets.values():
        # What the dataset profile asks for beyond the classes (SPDX 3.0.1, Dataset, "External properties").
        assert one.originatedBy
        assert one.builtTime
        assert one.releaseTime
        assert one.software_downloadLocation
        assert one.software_primaryPurpose == spdx.software_SoftwarePurpose.data
    (document,) = objects.foreach_type(spdx.SpdxDocument)
    assert spdx.ProfileIdentifierType.dataset in document.profileConformance
    relations = {
        (one.from_.name, one.relationshipType.rpartition("/")[2], to.name)
        for one in objects.foreach_type(spdx.Relationship)
        for to in one.to
        if hasattr(to, "name")
    }
    assert ("painter", "trainedOn", "photos") in relations
    assert ("copyist", "descendantOf", "painter") in relations
    assert ("painter", "generates", "outputs") in relations
    assert ("Lighthouses", "contains", "photos") in relations


def test_spdx_claims_no_profile_that_it_does_not_meet(trail: Trail) -> None:
    body = one(trail, "spdx", About(name="x", at=AT))
    (document,) = (element for element in body["@graph"] if element["type"] == "SpdxDocument")
    assert "dataset" not in document["profileConformance"]


@pytest.mark.parametrize("licence", ["", "CC-BY-4.0", "https://example.org/licence"])
def test_cyclonedx_is_valid(trail: Trail, licence: str) -> None:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    about = About(
        name="Lighthouses", license=licence, creator="The keepers", url="https://example.org", at=AT
    )
    (data,) = render(trail, "cyclonedx", "x.json", about).values()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(data.decode()) is None
    body = orjson.loads(data)
    broken = data.decode().replace('"machine-learning-model"', '"soul"')
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(broken) is not None
    refs = {one["name"]: one["bom-ref"] for one in body["components"]}
    needs = {one["ref"]: one["dependsOn"] for one in body["dependencies"]}
    assert needs[refs["painter"]] == sorted([refs["photos"], refs["drawings"]])
    assert needs[refs["outputs"]] == [refs["painter"]]
    assert render(trail, "cyclonedx", "x.json", about)["x.json"] == data


def test_the_eu_summary_is_complete_only_when_every_source_is_placed(trail: Trail) -> None:
    schema = orjson.loads(SCHEMA.read_bytes())
    assert "C(2025) 8311" in schema["$comment"]
    jsonschema.Draft202012Validator.check_schema(schema)
    judge = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    open_ = one(trail, "eu-summary")
    judge.validate(open_)
    assert not open_["complete"]
    assert {source["name"] for source in open_["unplaced"]} == {"photos", "drawings"}
    synthetic = open_["sections"]["synthetic_data"]
    assert (synthetic["section"], synthetic["images"]) == ("2.5", 4)
    assert synthetic["sources"][0]["model"] == "painter"
    assert synthetic["sources"][0]["model_trained_on"] == ["photos", "drawings"]

    placed = About(name="x", sources={"photos": "public", "drawings": "licensed"}, at=AT)
    whole = one(trail, "eu-summary", placed)
    judge.validate(whole)
    assert whole["complete"]
    assert whole["sections"]["publicly_available_datasets"]["images"] == 3
    assert whole["sections"]["licensed_datasets"]["sources"][0]["name"] == "drawings"
    # The schema itself refuses a summary that calls itself complete and is not, and a section that lies.
    for lie in (
        {**open_, "complete": True},
        {
            **whole,
            "sections": {**whole["sections"], "user_data": {**whole["sections"]["user_data"], "used": True}},
        },
        {**whole, "sections": {}},
        {**whole, "date": "yesterday"},
    ):
        with pytest.raises(jsonschema.ValidationError):
            judge.validate(lie)
    for sources in ({"nobody": "public"}, {"photos": "stolen"}):
        with pytest.raises(UsageError, match="source of"):
            one(trail, "eu-summary", About(sources=sources))


@pytest.mark.parametrize("kind", provenance.FORMATS)
def test_an_empty_log_can_be_exported(tmp_path: Path, kind: str) -> None:
    place = workspace(tmp_path)
    for data in render(open_trail(place), kind, "x.json", About(name="nothing", at=AT)).values():
        assert data is not None
    with pytest.raises(UsageError, match="export: expected"):
        render(open_trail(place), "csv", "x")


def test_the_verb(space: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*more: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as stopped:
            main(["ledger", "export", "--workspace", str(space.root), *more])
        return int(stopped.value.code or 0), capsys.readouterr().out

    for kind in provenance.FORMATS:
        code, out = run("--as", kind, "-o", str(tmp_path / f"{kind}.json"), "--format", "json")
        assert code == 0
        assert all(Path(file["file"]).stat().st_size == file["bytes"] for file in json.loads(out)["files"])
    code, out = run("--as", "eu-summary", "-o", str(tmp_path / "eu.json"), "--source", "photos=public")
    assert "Not placed in a section: drawings" in out
    assert run("--as", "prov", "-o", str(tmp_path / "no" / "such" / "x.json"))[0] == 3
    assert run("--as", "prov", "-o", str(tmp_path / "x"), "--source", "photos")[0] == 2
    head = space.ledger / "checkpoint"
    head.write_bytes(head.read_bytes().replace(b"\n", b"\n\n", 1))
    assert run("--as", "prov", "-o", str(tmp_path / "x.json"))[0] == 4
