"""Origins of whole sets through the real scan, the real log and the real verdicts."""

import json
import time

import numpy as np
import orjson
import pyarrow as pa
import pytest
from PIL import Image

from genepool import provenance
from genepool.config import Config
from genepool.detection import Calibration
from genepool.errors import LogError, WorkspaceError
from genepool.origin import explain_origin, settle
from genepool.records import Verdict
from genepool.store import Verdicts, Workspace
from support import onnx_models as models
from support.marks import A1111
from support.scans import encoded, fill, picture, scanned


def put(folder, name, number, **texts):
    """A PNG of picture ``number`` with text chunks."""
    from PIL.PngImagePlugin import PngInfo

    folder.mkdir(parents=True, exist_ok=True)
    info = PngInfo()
    for key, text in texts.items():
        info.add_text(key, text)
    picture(number).save(folder / name, "PNG", pnginfo=info)
    return folder / name


def sidecar(folder, *lines):
    (folder / "genepool.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def origins(folder, space, config=None):
    config = config or Config()
    catalogue = scanned(folder, space, config=config)
    table = settle(catalogue, Workspace(space), config)
    assert table.column("uri").to_pylist() == catalogue.table(["uri"]).column("uri").to_pylist()
    assert catalogue.origins().drop_columns([]).to_pylist() == table.to_pylist()
    return {row["uri"]: row for row in table.to_pylist()}


@pytest.fixture
def space(tmp_path):
    return tmp_path / "work"


def test_nothing_known(tmp_path, space):
    found = origins(fill(tmp_path / "set", 5), space)
    assert len(found) == 5
    for row in found.values():
        assert (row["origin"], row["tier"], row["status"]) == ("unknown", "unknown", "unknown")
        assert (row["human"], row["ai"], row["p_human"], row["lo"], row["hi"]) == (False, False, 0.5, 0, None)
        assert (row["model"], row["artist"], row["source"], row["style"], row["finding"]) == (None,) * 5
        assert orjson.loads(row["reasons"]) == ["nothing is known about its origin"]


def test_the_columns_and_their_types(tmp_path, space):
    catalogue = scanned(fill(tmp_path / "set", 2), space)
    table = settle(catalogue, Workspace(space), Config())
    names = "uri sha256 origin tier status human ai p_human lo hi model artist source style reasons"
    names += " finding cohort"
    assert " ".join(table.column_names) == names
    assert table.schema.field("lo").type == table.schema.field("hi").type == pa.int32()
    assert table.schema.field("human").type == pa.bool_()


def test_marks_and_claims_of_files(tmp_path, space):
    folder = tmp_path / "set"
    put(folder, "a1111.png", 1, parameters=A1111)
    put(folder, "plain.png", 2)
    put(folder, "claimed.png", 3)
    put(folder, "old.png", 4)
    put(folder, "late.png", 5)
    put(folder, "fresh.png", 6)
    for number, name in enumerate(("year", "number", "month", "newyear", "nomonth"), 7):
        put(folder, f"{name}.png", number)
    sidecar(
        folder,
        {"file": "claimed.png", "origin": "human_made", "artist": "Ann", "source": "s1", "style": "oil"},
        {"file": "old.png", "source": "museum", "created": "1889-06-01", "artist": "Vincent"},
        {"file": "late.png", "origin": "synthetic", "generation": 3, "model": "M3"},
        {"file": "fresh.png", "source": "museum", "created": "2022-05-01"},
        {"file": "year.png", "source": "museum", "created": "1889"},
        {"file": "number.png", "source": "museum", "created": 1889},
        {"file": "month.png", "source": "museum", "created": "1889-06"},
        {"file": "newyear.png", "source": "museum", "created": "2021"},
        {"file": "nomonth.png", "source": "museum", "created": "1889-13"},
    )
    found = origins(folder, space, Config().with_(evidence__archives=("museum",)))
    a1111 = found["a1111.png"]
    assert (a1111["origin"], a1111["ai"], a1111["tier"]) == ("synthetic", True, "declared")
    assert (a1111["lo"], a1111["hi"]) == (1, None)
    assert a1111["model"]
    claimed = found["claimed.png"]
    assert (claimed["human"], claimed["status"], claimed["tier"]) == (False, "unknown", "declared")
    assert 0.5 < claimed["p_human"] < 0.65
    assert (claimed["artist"], claimed["source"], claimed["style"]) == ("Ann", "s1", "oil")
    assert found["old.png"]["human"]
    assert (found["old.png"]["lo"], found["old.png"]["hi"]) == (0, 0)
    late = found["late.png"]
    assert (late["ai"], late["lo"], late["hi"], late["model"]) == (True, 3, None, "M3")
    assert not found["fresh.png"]["human"]
    assert not found["plain.png"]["human"]
    # A year, or a year and month, may stand alone; it counts as its last day.
    assert {name: found[f"{name}.png"]["human"] for name in ("year", "number", "month")} == dict.fromkeys(
        ("year", "number", "month"), True
    )
    assert not found["newyear.png"]["human"]
    assert not found["nomonth.png"]["human"]


def test_human_and_machine_through_the_log(tmp_path, space):
    paintings = fill(tmp_path / "paintings", 4)
    work = Workspace(space)
    provenance.register_human(scanned(paintings, space), work, cohort="ann", artist="Ann", config=Config())
    provenance.register_model(work, "M1", [("ann", 1.0)], config=Config())
    outputs = tmp_path / "outputs"
    for i in range(3):
        put(outputs, f"o{i}.png", 50 + i, Software="sampler")
    provenance.register_outputs(scanned(outputs, space), work, model="M1", config=Config())
    # Metadata stripped: other bytes, same pixels.
    mixed = fill(tmp_path / "mixed", 4)
    put(mixed, "z0.png", 50)
    put(mixed, "z1.png", 51)
    put(mixed, "new.png", 90)
    found = origins(mixed, space)
    humans = [row for uri, row in found.items() if uri.endswith(".jpg")]
    assert len(humans) == 4
    for row in humans:
        assert (row["human"], row["tier"], row["origin"]) == (True, "attested", "human_made")
        assert (row["artist"], row["lo"], row["hi"]) == ("Ann", 0, 0)
    for name in ("z0.png", "z1.png"):
        row = found[name]
        assert (row["ai"], row["tier"], row["model"]) == (True, "attested", "M1")
        assert (row["lo"], row["hi"], row["finding"]) == (1, 1, None)
    assert found["new.png"]["status"] == "unknown"


def test_a_chain_of_models_through_the_log(tmp_path, space):
    work = Workspace(space)
    human = fill(tmp_path / "human", 2)
    provenance.register_human(scanned(human, space), work, cohort="human", config=Config())
    before = "human"
    for generation in (1, 2, 3):
        name = f"M{generation}"
        provenance.register_model(
            work, name, [("human", 0.5), (before, 0.5)] if before != "human" else [("human", 1.0)]
        )
        folder = tmp_path / name
        put(folder, "x.png", 100 + generation)
        provenance.register_outputs(scanned(folder, space), work, model=name, cohort=f"out{generation}")
        before = f"out{generation}"
        found = origins(folder, space)["x.png"]
        assert (found["lo"], found["hi"]) == (generation, generation)
    assert explain_origin(found).model == "M3"


def test_a_trusted_human_claim_against_a_machine_mark_is_disputed(tmp_path, space):
    folder = tmp_path / "set"
    put(folder, "both.png", 1, parameters=A1111)
    put(folder, "plain.png", 2)
    provenance.register_human(scanned(folder, space), Workspace(space), cohort="c", config=Config())
    found = origins(folder, space)
    both = found["both.png"]
    assert (both["status"], both["human"], both["ai"]) == ("disputed", False, False)
    assert both["p_human"] <= 0.5
    assert orjson.loads(both["reasons"])[0].startswith("disputed")
    assert found["plain.png"]["human"]


def test_parents_carry_generations(tmp_path, space):
    folder = tmp_path / "set"
    for i, name in enumerate(["root", "child", "edit", "attested", "lost", "loop1", "loop2", "grand"]):
        put(folder, f"{name}.png", i)
    first = scanned(folder, space)
    digests = dict(
        zip(
            first.table(["uri"])["uri"].to_pylist(),
            first.table(["sha256"])["sha256"].to_pylist(),
            strict=True,
        )
    )
    provenance.register_human(first.select(["attested.png"]), Workspace(space), cohort="c", config=Config())
    ai = {"origin": "synthetic"}
    sidecar(
        folder,
        {"file": "root.png", **ai, "generation": 2},
        {"file": "child.png", **ai, "parents": [digests["root.png"].hex()]},
        {"file": "grand.png", **ai, "parents": ["child.png"]},
        {"file": "edit.png", "parents": ["child.png"]},
        {"file": "attested.png", "parents": ["root.png"]},
        {"file": "lost.png", **ai, "parents": ["not-here.png"]},
        {"file": "loop1.png", **ai, "parents": ["loop2.png"]},
        {"file": "loop2.png", **ai, "parents": ["loop1.png"]},
    )
    found = origins(folder, space)
    assert [found[f"{n}.png"]["lo"] for n in ("root", "child", "grand", "lost", "loop1")] == [2, 3, 4, 1, 1]
    edit = found["edit.png"]
    assert (edit["origin"], edit["ai"], edit["lo"]) == ("mixed", True, 3)
    attested = found["attested.png"]
    assert (attested["status"], attested["human"]) == ("disputed", False)
    assert "parents are of generation 2" in attested["reasons"]
    assert "loop" in found["loop1.png"]["finding"]
    assert found["child.png"]["finding"] is None


def test_parents_contradict_a_trusted_generation(tmp_path, space):
    work = Workspace(space)
    human = fill(tmp_path / "human", 2)
    provenance.register_human(scanned(human, space), work, cohort="human")
    provenance.register_model(work, "M1", [("human", 1.0)])
    outputs = tmp_path / "outputs"
    put(outputs, "first.png", 60)
    put(outputs, "second.png", 61)
    provenance.register_outputs(scanned(outputs, space), work, model="M1")
    put(outputs, "source.png", 62)
    sidecar(
        outputs,
        {"file": "source.png", "origin": "synthetic", "generation": 4},
        {"file": "second.png", "parents": ["source.png"]},
    )
    found = origins(outputs, space)
    assert (found["first.png"]["lo"], found["first.png"]["hi"]) == (1, 1)
    second = found["second.png"]
    assert (second["lo"], second["hi"]) == (5, None)
    assert second["finding"] == "claims or model give 1, but the parents make it at least 5"


def test_verdicts_move_but_do_not_settle(tmp_path, space):
    folder = fill(tmp_path / "set", 3)
    catalogue = scanned(folder, space)
    a, b, c = (digest.hex() for digest in catalogue.table(["sha256"])["sha256"].to_pylist())
    with Verdicts(Workspace(space)) as verdicts:
        for i in range(10):
            verdicts.add(Verdict(a, "human", f"r{i}", float(i)))
        verdicts.add(Verdict(b, "human", "r0", 1.0))
        verdicts.add(Verdict(b, "ai", "r0", 2.0))  # a changed mind: the last word counts
        verdicts.add(Verdict(c, "human", "r0", 1.0, control=True))
    rows = list(origins(folder, space).values())
    assert [row["human"] or row["ai"] for row in rows] == [False] * 3
    assert [row["tier"] for row in rows] == ["inferred", "inferred", "unknown"]
    assert rows[0]["p_human"] == pytest.approx(1 / (1 + np.exp(-2.0)))
    assert rows[1]["p_human"] == pytest.approx(1 / (1 + np.exp(0.5)))
    assert rows[2]["p_human"] == 0.5


def test_a_detector_votes_only_when_calibrated(tmp_path, space):
    path = models.model(tmp_path / "bright.onnx", side=64, gain=20.0, bias=-10.0)
    folder = tmp_path / "set"
    folder.mkdir()
    Image.fromarray(models.noise(0.85, 128)).save(folder / "bright.png")
    Image.fromarray(models.noise(0.15, 128)).save(folder / "dark.png")
    (folder / "tiny.png").write_bytes(encoded(picture(1, 32), "PNG"))
    config = Config().with_(detection__detector=f"onnx:{path}")
    assert {row["p_human"] for row in origins(folder, space, config).values()} == {0.5}
    digest = scanned(folder, space, config=config).table(["detector"])["detector"][0].as_py().split("@")[1]
    calibration = Calibration(digest, 1.0, 0.0, 2.0, -2.0, 1.5, -1.0, 0.95, 500, {"all": 500})
    Workspace(space).write_json("calibration.json", calibration.to_json())
    found = origins(folder, space, config)
    assert found["bright.png"]["p_human"] == pytest.approx(1 / (1 + np.exp(1.5)))
    assert found["dark.png"]["p_human"] == pytest.approx(1 / (1 + np.exp(-1.0)))
    assert found["tiny.png"]["p_human"] == 0.5
    assert not any(row["human"] or row["ai"] for row in found.values())
    # The same calibration does not speak for another model, nor for a higher accuracy.
    strict = config.with_(detection__threshold=0.99)
    assert {row["p_human"] for row in origins(folder, space, strict).values()} == {0.5}


def test_a_tampered_log_ends_the_run(tmp_path, space):
    folder = fill(tmp_path / "set", 2)
    catalogue = scanned(folder, space)
    provenance.register_human(catalogue, Workspace(space), cohort="c")
    tiles = [p for p in Workspace(space).ledger.rglob("*") if p.is_file() and "entries" in str(p)]
    assert tiles
    data = bytearray(tiles[0].read_bytes())
    data[len(data) // 2] ^= 1
    tiles[0].write_bytes(bytes(data))
    with pytest.raises(LogError):
        settle(catalogue, Workspace(space), Config())


# ---------------------------------------------------------------------------- without images


class Rows:
    """A catalogue in memory, with the parts of the interface that `settle` uses."""

    def __init__(self, table, workspace):
        self._table = table
        self.columns = dict.fromkeys(table.column_names, "")
        self.workspace = workspace
        self.written = None
        self.dataset = None

    def table(self, columns):
        return self._table.select(columns)

    def batches(self, columns, size=65536):
        return iter(self._table.select(columns).to_batches(max_chunksize=size))

    def write_origins(self, table):
        self.written = table


def rows(n, space, **columns):
    rng = np.random.default_rng(0)
    raw = rng.bytes(32 * n)
    digests = pa.FixedSizeBinaryArray.from_buffers(pa.binary(32), n, [None, pa.py_buffer(raw)])
    table = {"uri": [f"{i:07}.jpg" for i in range(n)], "sha256": digests, "pixel": digests, **columns}
    return Rows(pa.table(table), space)


def test_evidence_that_is_no_evidence_is_named(space):
    catalogue = rows(1, space, evidence=["{broken"])
    with pytest.raises(WorkspaceError, match="evidence"):
        settle(catalogue, Workspace(space).create(), Config())


def test_a_million_images_would_take_less_than_a_minute(space):
    n = 200_000
    mark = orjson.dumps(
        [{"kind": "xmp", "claim": "ai", "llr": 3.0, "cap": 3.0, "origin": "synthetic"}]
    ).decode()
    evidence = pa.array([mark if i % 100 == 0 else "[]" for i in range(n)])
    declared = pa.array([f'{{"source":"s{i % 50}"}}' if i % 10 == 0 else None for i in range(n)])
    catalogue = rows(n, space, evidence=evidence, declared=declared)
    start = time.process_time()
    table = settle(catalogue, Workspace(space).create(), Config())
    spent = time.process_time() - start
    assert spent < 60 * n / 1_000_000
    assert int(np.count_nonzero(table["ai"])) == n // 100
    assert catalogue.written is table
