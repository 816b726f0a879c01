"""Plans carried out on real folders: pictures made, measured, registered, written; and stopped in between."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import orjson
import pytest
from PIL import Image

import genepool
from genepool import dataset, origin, provenance, store
from genepool.cli import main
from genepool.config import Config
from genepool.errors import CannotFinish, PluginError, UsageError
from genepool.injection import _make, plan_injection
from support.galleries import crops, write
from support.scans import scanned
from support.styles import network

CONFIG = Config().with_(engine__workers=1)
TESTS = str(Path(__file__).parents[1])


@pytest.fixture
def gallery(tmp_path, photos):
    """Forty views of one photograph by one artist, six pictures by two others; all attested as human work."""
    folder = tmp_path / "gallery"
    write(folder / "common", crops({"chelsea": photos["chelsea"]}, 40, seed=3, side=96), "c")
    write(folder / "rare", crops({"a": photos["immunohistochemistry"]}, 3, seed=4, side=96), "i")
    write(folder / "rare", crops({"a": photos["coins"]}, 3, seed=5, side=96), "k")
    lines = [{"file": f"common/{p.name}", "artist": "Cat"} for p in sorted((folder / "common").iterdir())] + [
        {"file": f"rare/{p.name}", "artist": "Ida" if p.name[0] == "i" else "Kim"}
        for p in sorted((folder / "rare").iterdir())
    ]
    (folder / "genepool.jsonl").write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    space = tmp_path / "gallery.genepool"
    provenance.register_human(scanned(folder, space), store.Workspace(space), cohort="gallery", config=CONFIG)
    return folder


def plan(gallery, **options):
    asked = {"transfers": 4, "style": "colour", "floor": 0.0, "quality_drop": float("inf"), **options}
    return plan_injection(gallery, config=CONFIG, **asked)


@pytest.fixture
def easy(monkeypatch):
    """Every picture is admitted, and so is the batch: what these tests look at comes after that."""
    from genepool.injection import _apply

    monkeypatch.setattr(_apply, "admit", lambda pool, work, fresh, transfers: (fresh, {}))
    monkeypatch.setattr(_apply, "objections", lambda *_: [])


def test_the_plan_pairs_common_pictures_with_rare_artists(gallery):
    found = plan(gallery)
    assert found.accepted
    assert "transfer" in found.method
    assert len(found.transfers) == 4
    assert {t.artist for t in found.transfers} <= {"Ida", "Kim"}
    assert all(t.content[1].startswith("common/") for t in found.transfers)
    assert all(t.generation == (1, 1) for t in found.transfers)
    assert all(t.cohorts == ("gallery",) for t in found.transfers)
    assert found.human[1] < 1.0
    assert found.digest == plan(gallery).digest != plan(gallery, seed=1).digest
    json.dumps(found.to_json())


def test_pictures_are_made_measured_registered_and_written(gallery, tmp_path, easy):
    found = plan(gallery, style="strokes:0.3", transfers=3)
    done = found.write(tmp_path / "out")
    assert done.written
    assert len(done.made) == 3
    assert not (tmp_path / "out.making").exists()
    written = dataset.open(str(tmp_path / "out"))
    assert len(written) == len(found.kept) + 3 == done.manifest.n
    # The index of the files is the one that was measured.
    place = store.workspace_for(written)
    catalogue = scanned(tmp_path / "out", place.root)
    table = origin.settle(catalogue, place, CONFIG)
    index = genepool.StyleDiversityIndex(config=CONFIG).measure(catalogue)
    assert index == pytest.approx(done.after, abs=1e-6)
    rows = [row for row in table.to_pylist() if row["ai"]]
    assert len(rows) == 3
    for row in rows:
        assert row["origin"] == "synthetic"
        assert not row["human"]
        assert (row["lo"], row["hi"]) == (1, 1)
        assert row["tier"] == "attested"
    assert sum(row["human"] for row in table.to_pylist()) == len(found.kept)
    # The log names parents, model and generation; the detail beside it method, parameters and seed.
    trail = provenance.open_trail(store.Workspace(tmp_path / "gallery.genepool"), CONFIG)
    transfers = {t.name: t for t in found.transfers}
    details = list(provenance.Sidecar(tmp_path / "gallery.genepool").load().values())
    for row in rows:
        (claim,) = [c for c in trail.attestations([row["sha256"]], [])[0] if c.model]
        transfer = transfers[Path(row["uri"]).stem]
        assert claim.parents == transfer.parents
        assert claim.generation == (1, 1)
        (detail,) = [d for d in details if d.get("uri") == f"{transfer.name}.png"]
        assert detail["method"] == "strokes@1"
        assert detail["parameters"] == "hold=0.3"
        assert detail["seed"] == str(transfer.seed)
        assert detail["content"] == transfer.content[2]
    assert trail.models[done.registration.model].generation == (1, 1)


def test_a_picture_is_what_its_parameters_say(gallery, tmp_path, easy):
    found = plan(gallery, style="colour:reinhard", transfers=1)
    found.write(tmp_path / "out")
    (transfer,) = found.transfers
    from genepool.injection import ColourStyle

    def pixels(uri):
        return np.asarray(Image.open(gallery / uri).convert("RGB"))

    made = np.asarray(Image.open(next((tmp_path / "out").rglob(f"{transfer.name}.png"))))
    again = ColourStyle("reinhard").transfer(
        pixels(transfer.content[1]), [pixels(uri) for _, uri, _ in transfer.styles], seed=transfer.seed
    )
    assert (made == again).all()


def test_what_is_common_off_support_or_no_nearer_is_not_taken(gallery, tmp_path):
    class Same:
        name, version, parameters, base = "same", "1", {}, ""

        def transfer(self, content, styles, *, seed=0):
            return content

    class Noise(Same):
        def transfer(self, content, styles, *, seed=0):
            return np.random.default_rng(seed).integers(0, 256, content.shape).astype(np.uint8)

    for kind, reason in ((Same, "repeats"), (Noise, "off support")):
        import genepool.injection._styles as styles

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(styles, "load_style", lambda spec, kind=kind: kind())
            done = plan(gallery, style="colour", transfers=2).write(tmp_path / "out")
        assert not done.written
        assert reason in " ".join(done.refused.values())
        assert "none of the pictures" in " ".join(done.reasons)
        assert not (tmp_path / "out").exists()
        assert not (tmp_path / "out.making").exists()
        trail = provenance.open_trail(store.Workspace(tmp_path / "gallery.genepool"), CONFIG)
        assert not trail.models


def test_a_batch_that_does_not_raise_the_index_is_refused(gallery, tmp_path, monkeypatch):
    import genepool.injection._styles as styles
    from genepool.injection import _apply

    class UpsideDown:
        """More of the common style: no near-copy, but nothing new."""

        name, version, parameters, base = "upside-down", "1", {}, ""

        def transfer(self, content, styles, *, seed=0):
            return np.ascontiguousarray(content[::-1])

    monkeypatch.setattr(_apply, "admit", lambda pool, work, fresh, transfers: (fresh, {}))
    monkeypatch.setattr(styles, "load_style", lambda spec: UpsideDown())
    found = plan(gallery, transfers=6)
    done = found.write(tmp_path / "out")
    assert not done.written
    assert "would not rise" in " ".join(done.reasons)
    assert set(done.refused) == {t.name for t in found.transfers}


def test_the_human_share_bounds_how_many_are_made(gallery):
    found = plan(gallery, transfers=1000)
    human = len(found.kept)
    assert human / (human + len(found.transfers)) >= 0.70
    assert human / (human + len(found.transfers) + 1) < 0.70
    assert "leaves room for" in " ".join(found.reasons)


def test_parents_of_unknown_origin_are_no_parents(tmp_path, photos):
    write(tmp_path / "set", crops({"chelsea": photos["chelsea"]}, 12, seed=3, side=96), "c")
    found = plan(tmp_path / "set", human_ratio=0.0)
    assert not found.transfers
    assert "a log attests" in " ".join(found.reasons)


def test_weights_of_unknown_training_make_nothing(gallery, tmp_path):
    path = network(tmp_path / "net.onnx")
    found = plan(gallery, style=f"onnx:{path}")
    assert not found.transfers
    assert "expected weights of a registered model" in " ".join(found.reasons)
    work = store.Workspace(tmp_path / "gallery.genepool")
    provenance.register_model(work, "painter", [("gallery", 1.0)], config=CONFIG)
    provenance.register_model(work, "painter-2", [("painter", 1.0)], config=CONFIG)
    found = plan(gallery, style=f"onnx:{path}#painter-2")
    assert {t.generation for t in found.transfers} == {(2, 2)}
    assert {t.base for t in found.transfers} == {"painter-2"}


# ------------------------------------------------------------------------------------------ stopped

_RUN = """
import os, sys
sys.path.insert(0, sys.argv[4])
from genepool.config import Config
from genepool.injection import _apply, _make, plan_injection
from genepool import dataset, provenance
_apply.admit = lambda pool, work, fresh, transfers: (fresh, {})
_apply.objections = lambda *_: []
where = sys.argv[3]

def dying(module, name, before):
    real = getattr(module, name)
    def wrapped(*args, **options):
        if before:
            os.kill(os.getpid(), 9)
        result = real(*args, **options)
        os.kill(os.getpid(), 9)
    setattr(module, name, wrapped)

if where == "second picture":
    count = [0]
    real = _make.write_whole
    def counted(path, data):
        count[0] += path.suffix == ".png"
        if count[0] == 2:
            path.with_name(f".{path.name}.tmp").write_bytes(data[:100])
            os.kill(os.getpid(), 9)
        real(path, data)
    _make.write_whole = counted
elif where == "registered":
    dying(provenance, "register_outputs", False)
elif where == "model":
    dying(provenance, "register_model", False)
elif where == "export":
    import genepool.dataset._export as export
    dying(export, "_write", False)
elif where == "written":
    dying(_apply.Staging, "discard", True)
plan = plan_injection(sys.argv[1], transfers=3, style="colour:reinhard", floor=0.0,
                      quality_drop=float("inf"), config=Config().with_(engine__workers=1))
plan.write(sys.argv[2])
"""


@pytest.mark.parametrize("where", ["second picture", "model", "registered", "export", "written"])
def test_killed_at_any_moment_nothing_is_half_there_and_it_goes_on(gallery, tmp_path, where, own_home, easy):
    out = tmp_path / "out"
    code = tmp_path / "run.py"
    code.write_text(f"if __name__ == '__main__':\n    exec({_RUN!r})\n")
    ended = subprocess.run(
        [sys.executable, str(code), str(gallery), str(out), where, TESTS],
        env={**os.environ, "GENEPOOL_HOME": str(own_home)},
        capture_output=True,
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()[-2000:]
    space = store.Workspace(tmp_path / "gallery.genepool")
    trail = provenance.open_trail(space, CONFIG)
    assert not trail.problems
    made = {name: record.n for name, record in trail.cohorts.items() if record.origin == "synthetic"}
    # All three are in the log, or none.
    assert set(made.values()) <= {3}
    assert out.exists() == (where == "written")
    if where == "written":
        with pytest.raises(UsageError, match="files in it"):
            plan(gallery, transfers=3, style="colour:reinhard").write(out)
        assert not (tmp_path / "out.making").exists()
    else:
        before = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "out.making").glob("*.png")}
        done = plan(gallery, transfers=3, style="colour:reinhard").write(out)
        assert done.written
        assert before or where == "second picture"
        after = provenance.open_trail(space, CONFIG)
        made = {name: r.n for name, r in after.cohorts.items() if r.origin == "synthetic"}
        assert list(made.values()) == [3]
    assert not (tmp_path / "out.making").exists()
    assert not (tmp_path / "out.partial").exists() or where == "written"
    table = origin.settle(
        scanned(out, tmp_path / "out.genepool"), store.Workspace(tmp_path / "out.genepool"), CONFIG
    )
    assert sum(table["ai"].to_pylist()) == 3


def test_what_is_made_is_not_made_again(gallery, tmp_path, easy, monkeypatch):
    found = plan(gallery, transfers=3)
    real, count = _make.write_whole, []

    def full(path, data):
        if path.suffix == ".png" and len(count) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        count.append(path.name) if path.suffix == ".png" else None
        real(path, data)

    monkeypatch.setattr(_make, "write_whole", full)
    with pytest.raises(CannotFinish, match="No space left") as raised:
        found.write(tmp_path / "out")
    assert "free space" in raised.value.hint
    assert not (tmp_path / "out").exists()
    kept = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "out.making").glob("*.png")}
    assert len(kept) == 2
    time.sleep(0.01)
    monkeypatch.setattr(_make, "write_whole", real)
    made = []
    monkeypatch.setattr(_make, "_encoded", lambda p, t, r=_make._encoded: made.append(t.name) or r(p, t))
    assert found.write(tmp_path / "out").written
    assert len(made) == 1


def test_a_full_disk_while_the_set_is_written(gallery, tmp_path, easy, monkeypatch):
    import genepool.dataset._export as export

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    found = plan(gallery, transfers=2)
    with monkeypatch.context() as patch:
        patch.setattr(export, "_write", full)
        with pytest.raises(CannotFinish, match="could not be written"):
            found.write(tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert found.write(tmp_path / "out").written


def test_other_peoples_files_are_never_touched(gallery, tmp_path, easy):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="files in it"):
        plan(gallery).write(tmp_path / "out")
    (tmp_path / "two.making").mkdir()
    (tmp_path / "two.making" / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="something else there"):
        plan(gallery).write(tmp_path / "two")
    assert (tmp_path / "two.making" / "mine.txt").read_text() == "mine"
    # A plan that is another one begins anew.
    staging = _make.Staging(tmp_path / "three", "a" * 64)
    (staging.path / "old.png").write_bytes(b"old")
    _make.Staging(tmp_path / "three", "b" * 64)
    assert not (staging.path / "old.png").exists()


def test_an_image_that_changed_since_the_plan_stops_it(gallery, tmp_path, easy):
    found = plan(gallery, transfers=2)
    uri = found.transfers[0].content[1]
    write(
        gallery / "common", crops({"x": np.asarray(Image.open(gallery / "rare" / "k000.jpg"))}, 1, 0, 48), "x"
    )
    (gallery / uri).write_bytes((gallery / "common" / "x000.jpg").read_bytes())
    with pytest.raises(CannotFinish, match="expected the bytes"):
        found.write(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_style_that_returns_no_picture_is_named(gallery, tmp_path, easy, monkeypatch):
    found = plan(gallery, transfers=1)
    from genepool.injection import ColourStyle

    monkeypatch.setattr(ColourStyle, "transfer", lambda *_, **__: "a picture")
    with pytest.raises(PluginError, match="expected a picture"):
        found.write(tmp_path / "out")


# ------------------------------------------------------------------------------------------- the verb


def run(capsys, *words):
    with pytest.raises(SystemExit) as ended:
        main(["inject", *map(str, words), "--workers", "1"])
    return ended.value.code, capsys.readouterr()


def test_the_verb_plans_and_applies(gallery, tmp_path, photos, capsys):
    write(tmp_path / "reserve", crops(photos, 26, seed=11, side=96), "r")
    space = tmp_path / "reserve.genepool"
    provenance.register_human(
        scanned(tmp_path / "reserve", space), store.Workspace(space), cohort="reserve", config=CONFIG
    )
    words = [gallery, "--reserve", tmp_path / "reserve", "--floor", "0.35"]
    code, said = run(capsys, *words, "--plan")
    assert code == 0, said
    assert "may be carried out" in said.out
    assert "mean quality" in said.out
    assert "piqe (proxy)" in said.out
    again = (
        f"genepool inject {gallery} --apply --reserve {tmp_path / 'reserve'} --floor 0.35 --workers 1 -o OUT"
    )
    assert said.out.splitlines()[-1] == f"Next: {again}", "every option again"
    assert not (tmp_path / "out").exists()
    code, said = run(capsys, *words, "--apply", "-o", tmp_path / "out", "--format", "json")
    assert code == 0
    data = json.loads(said.out)
    assert data["schema"] == "genepool.injection/1"
    assert data["applied"]["written"]
    assert data["applied"]["after"]["lower"] > data["applied"]["before"]["lower"]
    assert data["human"]["after"] >= 0.70
    assert len(dataset.open(str(tmp_path / "out"))) == data["n_kept"] + len(data["added"])
    # The new set reads the logs of both: everything in it is known to be human work.
    place = store.workspace_for(dataset.open(str(tmp_path / "out")))
    table = origin.settle(scanned(tmp_path / "out", place.root), place, CONFIG)
    assert all(table["human"].to_pylist())


def test_the_verb_says_why_it_cannot(tmp_path, photos, capsys):
    write(tmp_path / "set", crops({"moon": photos["moon"]}, 3, seed=1, side=96), "m")
    code, said = run(capsys, tmp_path / "set", "--plan")
    assert code == 1
    assert "may not be carried out" in said.out
    code, said = run(capsys, tmp_path / "set", "--apply", "-o", tmp_path / "out")
    assert code == 1
    assert "nothing was written" in said.out
    assert not (tmp_path / "out").exists()
    assert run(capsys, tmp_path / "set")[0] == 2
    assert run(capsys, tmp_path / "set", "--apply")[0] == 2
    assert run(capsys, tmp_path / "set", "--plan", "--transfer", "2", "--style", "nothing")[0] == 3
    code, said = run(capsys, tmp_path / "set", "--plan", "--floor", "0")
    assert code == 0
    assert "nothing to do" in said.out
