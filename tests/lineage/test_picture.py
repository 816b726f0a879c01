"""What a pedigree looks like: as data, as a tree, as SVG; and the verb that shows it."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest

from genepool import provenance
from genepool.cli import main
from genepool.config import Config
from genepool.errors import MeasureError, UsageError
from genepool.lineage import Pedigree, describe, draw, generation_weights, tree
from genepool.store import Workspace
from support.scans import encoded, fill, picture, scanned

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def family():
    p = Pedigree()
    p.add_founders("human", 40)
    for k in range(9):
        p.add_founders(f"small {k}", 2)
    p.add_model("M1", "human")
    p.add_dataset("D2", {"human": 0.5, "M1": 0.5})
    p.add_model("M2", "D2")
    p.add_model("tuned", {"human": 0.6, "bought": 0.1}, base="M2")
    p.add_dataset("set", {"tuned": 0.1, "M1": 0.1, **{f"small {k}": 0.08 for k in range(9)}})
    return p


def test_description_has_every_number(family):
    data = json.loads(json.dumps(describe(family, ["set"], b2=0.5)))
    nodes = {node["name"]: node for node in data["nodes"]}
    assert data["schema"] == "genepool.lineage/1"
    assert nodes["M2"]["generation"] == [2, 2]
    assert nodes["M2"]["inbreeding"]["value"] == pytest.approx(family.inbreeding("M2"))
    assert nodes["M2"]["retention"] == pytest.approx(family.expected_retention("M2", 0.5))
    assert nodes["tuned"]["generation"] == [2, None]
    assert nodes["tuned"]["inbreeding"] is None
    assert nodes["tuned"]["rest"] == pytest.approx(0.3)
    assert nodes["tuned"]["base"] == "M2"
    assert nodes["bought"]["kind"] == "unknown"
    # Human cohorts beyond the largest are one node, with what they hold together.
    merged = next(node for node in data["nodes"] if "more by people" in node["name"])
    assert data["merged"] == 6
    assert merged["size"] == 12
    assert nodes["set"]["parts"][merged["name"]] == pytest.approx(6 * 0.08)
    assert sum(nodes["set"]["parts"].values()) + nodes["set"]["rest"] == pytest.approx(1.0)
    order = [node["name"] for node in data["nodes"]]
    for node in data["nodes"]:
        assert all(order.index(part) < order.index(node["name"]) for part in node["parts"])


def test_only_so_many_are_described():
    p = Pedigree()
    p.add_founders("human", 5)
    for k in range(300):
        p.add_model(f"M{k}", "human" if k == 0 else f"M{k - 1}")
    data = describe(p, most=20)
    assert data["roots"] == ["M299"]
    assert data["omitted"] > 200
    assert {n["name"] for n in data["nodes"] if n["kind"] == "model" and n["parts"]} == {
        f"M{k}" for k in range(280, 300)
    }
    assert len(tree(data)) < 60
    assert draw(data).startswith("<svg")
    deep = describe(p, most=1000)
    assert any("further back" in line for line in tree(deep))


def test_the_tree_says_everything_once(family):
    lines = tree(describe(family, ["set"]))
    text = "\n".join(lines)
    assert lines[0].startswith("set  dataset, gen 2 or later")
    assert sum("M1  model" in line for line in lines) == 1
    assert "M1  (above)" in text
    assert "base M2" in text
    assert "30 % of unknown origin" in text
    assert "bought  gen 0 or later" in text
    assert all(line.isprintable() for line in lines)


def test_the_picture_is_well_formed_and_reproducible(family):
    data = describe(family, ["set"])
    text = draw(data)
    assert text == draw(json.loads(json.dumps(data)))
    root = ET.fromstring(text)  # our own output
    assert root.get("role") == "img"
    assert "tuned: model, gen 2 or later" in root.get("aria-label")
    boxes = root.findall(f"{SVG}g/{SVG}rect")
    assert len(boxes) == len(data["nodes"])
    width, height = (float(x) for x in root.get("viewBox").split()[2:])
    spots = []
    for box in boxes:
        x, y, w, h = (float(box.get(k)) for k in ("x", "y", "width", "height"))
        assert x >= 0
        assert y >= 0
        assert x + w <= width
        assert y + h <= height
        assert all(abs(x - a) >= w or abs(y - b) >= h for a, b in spots), "boxes overlap"
        spots.append((x, y))
    # Colour follows F: M2 is more inbred than M1, the unknown has none.
    fills = {
        g.find(f"{SVG}title").text.split(":")[0]: g.find(f"{SVG}rect").get("fill")
        for g in root.findall(f"{SVG}g")
    }
    assert fills["tuned"] == "#ffffff"
    assert fills["M1"] != fills["M2"]


def test_hostile_names_stay_names():
    p = Pedigree()
    nasty = '"><script>alert(1)</script>&\x00\x1b[31m\u202e'
    p.add_founders(nasty, 3)
    p.add_model("<b>M", nasty)
    data = describe(p)
    root = ET.fromstring(draw(data))
    assert not root.findall(f".//{SVG}script")
    assert not any(element.tag.endswith("script") for element in root.iter())
    assert all(line.isprintable() for line in tree(data))


def test_description_of_nothing_and_of_what_is_not_there(family):
    assert draw(describe(Pedigree())).startswith("<svg")
    assert tree(describe(Pedigree())) == []
    with pytest.raises(UsageError, match="nobody"):
        describe(family, ["nobody"])
    with pytest.raises(MeasureError):
        describe(family, ["set"], b2=0.0)


# ------------------------------------------------------------------------------ tolerance and weights


def test_a_tolerance_passes_over_strays():
    p = Pedigree()
    p.add_founders("human", 9)
    p.add_model("M1", "human")
    p.add_model("M2", "M1")
    p.add_dataset("D", {"human": 0.90, "M1": 0.08, "M2": 0.02})
    p.add_model("X", "D")
    p.add_model("tuned", "human", base="X")
    p.add_model("vague", {"human": None, "M2": None})
    p.add_model("lost", {"human": 0.98})
    for tolerance, expected in ((0.0, 3), (0.019, 3), (0.02, 2), (0.0999, 2), (0.1, 1), (0.5, 1)):
        assert p.generation("X", tolerance=tolerance) == (expected, expected), tolerance
        assert p.generation("tuned", tolerance=tolerance) == (expected, expected), tolerance
        # The set itself still holds what it holds, where its own parts are not passed over.
        assert p.generation("D", tolerance=tolerance) == (2, 2)
    assert p.generation("vague", tolerance=0.9) == (3, 3)
    assert p.generation("lost") == (1, None)
    assert p.generation("lost", tolerance=0.02) == (1, 1)
    with pytest.raises(UsageError, match="tolerance"):
        p.generation("X", tolerance=1.0)


def test_weights_by_generation():
    machine = [False, True, True, True, True]
    assert generation_weights([0, 1, 2, 7, -1], machine, (0.8, 0.5)).tolist() == [1.0, 0.8, 0.5, 0.5, 0.5]
    assert generation_weights([0, 1, 2, 7, -1], machine, ()).tolist() == [1.0] * 5
    for bad in ((-1.0,), (float("nan"),), (float("inf"),)):
        with pytest.raises(MeasureError):
            generation_weights([1], [True], bad)
    with pytest.raises(MeasureError):
        generation_weights([1, 2], [True], (1.0,))


# ------------------------------------------------------------------------------------------- the verb


@pytest.fixture
def run(capsys):
    def call(*args):
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(a) for a in args])
        streams = capsys.readouterr()
        return int(ended.value.code or 0), streams.out, streams.err

    return call


@pytest.fixture
def registered(tmp_path):
    folder = fill(tmp_path / "set", 6)
    space = tmp_path / "set.genepool"
    work = Workspace(space)
    provenance.register_human(scanned(folder, space), work, cohort="ann", config=Config())
    provenance.register_model(work, "M1", [("ann", 1.0)], config=Config())
    provenance.register_model(work, "M2", [("ann", 0.5), ("M1", 0.5)], config=Config())
    return folder, work


def test_lineage_of_a_folder_and_of_a_model(registered, run, monkeypatch):
    folder, work = registered
    code, out, _ = run("lineage", folder, "--workers", 1)
    assert code == 0
    assert "100 % ann  human work, 6 images" in out
    assert (work.root / "pedigree.svg").exists()
    monkeypatch.chdir(folder.parent)
    code, out, _ = run("lineage", "M2", "--format", "json", "--svg", folder.parent / "m2.svg")
    data = json.loads(out)
    assert code == 0
    assert {n["name"]: n["generation"] for n in data["nodes"]} == {"ann": [0, 0], "M1": [1, 1], "M2": [2, 2]}
    ET.parse(folder.parent / "m2.svg")
    provenance.withdraw(work, cohort="ann", config=Config())
    code, out, _ = run("lineage", "M2", "--workspace", work.root)
    assert "finding: model 'M1' was trained on 'ann', which was withdrawn" in out
    assert "gen 2 or later" in out


def test_two_workspaces_that_name_the_same_images(registered, run, monkeypatch):
    """The cohort has each image once, and the picture lies where the model is registered."""
    folder, work = registered
    other = Workspace(folder.parent / "a.genepool")  # before the other one in every listing
    provenance.register_human(scanned(folder, other.root), other, cohort="ann", config=Config())
    monkeypatch.chdir(folder.parent)
    code, out, _ = run("lineage", "M2")
    assert code == 0
    assert "ann  human work, 6 images" in out
    assert out.splitlines()[-1] == "Picture: set.genepool/pedigree.svg"
    assert (work.root / "pedigree.svg").exists()
    assert not (other.root / "pedigree.svg").exists()
    # Further images under the same name are added, once each.
    more = fill(folder.parent / "more", 8)
    provenance.register_human(scanned(more, other.root), other, cohort="ann", config=Config())
    distinct = len({path.read_bytes() for path in (*folder.rglob("*"), *more.rglob("*")) if path.is_file()})
    assert distinct == 8, "six of them are the same bytes"
    assert f"ann  human work, {distinct} images" in run("lineage", "M2")[1]


def test_a_model_trained_on_a_checked_set_names_the_set(registered, run):
    from genepool import pipeline

    folder, work = registered
    (folder / "another.png").write_bytes(encoded(picture(77), "PNG"))  # the set is not the cohort alone
    root = pipeline.check(folder, config=Config().with_(engine__workers=1)).root
    provenance.register_model(work, "M3", [(root, 1.0)], config=Config())
    code, out, _ = run("lineage", "M3", "--workspace", work.root)
    assert code == 0
    assert f"100 % set (checked, {root[:8]}…)" in out
    assert root not in out
    assert "retention unknown" in out, "nothing that is known was lost"
    assert "retains 0.00" not in out
    assert f"set (checked, {root[:8]}…)" in (work.root / "pedigree.svg").read_text("utf-8")


def test_lineage_of_what_is_not_there(registered, run):
    _, work = registered
    code, _, err = run("lineage", "anm", "--workspace", work.root)
    assert code == 2
    assert "expected a path or a registered model" in err
    assert "did you mean 'ann'?" in err
    code, _, err = run("lineage")
    assert code == 2
    code, out, _ = run("lineage", "--required-ratio", 0.8, "--b2", 0.4)
    assert code == 0
    assert "70.6%" in out
    code, out, _ = run("lineage", "--required-ratio", 0.9, "--b2", 0.4, "--format", "json")
    assert json.loads(out)["human_ratio"] == pytest.approx(0.84375)
    code, _, err = run("lineage", "--required-ratio", 1.5)
    assert code == 3
