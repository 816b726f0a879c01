"""The story in small: check, certify, verify a copy elsewhere, break it, recover what was stripped."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genepool import pipeline, provenance
from genepool.cli._main import main
from genepool.config import Config
from genepool.engine import LocalEngine
from support.galleries import crops, write

EASY = Config().with_(policy__diversity=0.0)


@pytest.fixture
def told(tmp_path: Path, photos: dict, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checked set: two human folders and a model's twelve outputs, certified; returns its folder."""
    monkeypatch.setattr("genepool.scan._scan.configured", lambda config: LocalEngine(inline=True))
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "here" / "set"
    for number, name in enumerate(("drawings", "photographs")):
        write(root / name, crops(photos, 16, seed=number), name[0])
    write(root / "outputs", crops(photos, 12, seed=9), "o")
    (root.parent / "set.genepool").mkdir()
    return root


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main(list(arguments))
    said = capsys.readouterr()
    return int(stopped.value.code or 0), said.out, said.err


def certified(root: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    for name in ("drawings", "photographs"):
        assert run(capsys, "register", "human", str(root / name))[0] == 0
    place = str(root.parent / "set.genepool")
    model = ("register", "model", "painter", "--trained-on", "drawings")
    assert run(capsys, *model, "--workspace", place)[0] == 0
    assert run(capsys, "register", "outputs", str(root / "outputs"), "--model", "painter")[0] == 0
    code, out, _ = run(capsys, "check", str(root), "--diversity", "0", "--human-ratio", "0.5")
    assert code == 0, out
    assert "Certificate: " in out
    return Path(place) / "certificate.genepool"


def test_the_whole_story(told: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = certified(told, capsys)
    code, out, _ = run(capsys, "ledger", "key", "show", "--format", "json")
    vkey = json.loads(out)["keys"][0]["vkey"]
    # A copy at another path, without the workspace; the verifier has no key and no configuration.
    there = tmp_path / "there"
    shutil.copytree(told, there / "data")
    copy = shutil.copy(made, there / "paper")
    home = tmp_path / "stranger"
    with pytest.MonkeyPatch.context() as stranger:
        stranger.setenv("GENEPOOL_HOME", str(home))
        code, out, _ = run(capsys, "verify", str(copy), str(there / "data"), "--vkey", vkey)
        assert code == 0, out
        for place in ("checkpoint", "decision", "report", "policy", "signature", "signer", "data"):
            assert f"✓ {place}" in out
        assert "VALID" in out
        code, out, _ = run(capsys, "verify", str(copy), str(there / "data"))
        assert (code, "unknown key" in out) == (4, True)
        assert not home.exists()
        assert not (there / "data.genepool").exists()
        raw = Path(copy).read_bytes()
        rng = np.random.default_rng(3)
        for at in rng.integers(0, len(raw), 10).tolist():
            changed = bytearray(raw)
            changed[at] ^= 4
            Path(copy).write_bytes(changed)
            code, out, err = run(capsys, "verify", str(copy), str(there / "data"), "--vkey", vkey)
            assert code == 4, at
            assert "INVALID " in out or "GP023 " in err
        Path(copy).write_bytes(raw)
        files = sorted((there / "data").rglob("*.jpg"))
        for place in rng.choice(len(files), 10, replace=False).tolist():
            file = files[place]
            whole = file.read_bytes()
            file.write_bytes(whole[:50] + bytes([whole[50] ^ 1]) + whole[51:])
            code, out, _ = run(capsys, "verify", str(copy), str(there / "data"), "--vkey", vkey)
            assert code == 4
            assert f"✗ {file.relative_to(there / 'data')}" in out
            file.write_bytes(whole)
        (there / "data" / "outputs" / "new.jpg").write_bytes(files[0].read_bytes())
        code, out, _ = run(capsys, "verify", str(copy), str(there / "data"), "--vkey", vkey)
        assert (code, "more often than it was certified" in out) == (4, True)


def test_stripped_halved_and_encoded_again_the_generation_is_found(
    told: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    certified(told, capsys)
    stripped = tmp_path / "stripped"
    stripped.mkdir()
    for file in sorted((told / "outputs").iterdir()):
        image = Image.open(file).convert("RGB")
        small = image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)
        small.save(stripped / f"{file.stem}.jpg", quality=75)
    place = str(told.parent / "set.genepool")
    files = sorted(map(str, stripped.iterdir()))
    code, out, _ = run(capsys, "ledger", "lookup", *files, "--workspace", place, "--format", "json")
    answers = json.loads(out)["images"]
    found = [answer for answer in answers if answer["entries"]]
    # One of the twelve is a crop of a printed page: at half its size the letters are gone.
    assert len(found) == 11
    assert code == 1
    for answer in found:
        (first,) = answer["entries"]
        assert (first["status"], first["model"], first["generation"]) == ("recovered", "painter", [1, 1])
        index = json.loads(first["entry"])["sha256"]
        original = (told / "outputs" / Path(answer["image"]).name).read_bytes()
        assert index == hashlib.sha256(original).hexdigest()
    decision = pipeline.check(str(stripped), workspace=place, config=EASY)
    assert decision.extra["origins"]["recovered"] == 11
    assert not decision
    code, out, _ = run(capsys, "verify", str(stripped), "--workspace", place)
    assert "11 of the unknown look like images attested as AI (painter): recovered" in out


def test_what_an_image_reached_and_what_a_withdrawal_touches(
    told: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = certified(told, capsys)
    place = str(told.parent / "set.genepool")
    image = sorted((told / "drawings").iterdir())[0]
    code, out, _ = run(capsys, "trace", str(image), "--format", "json")
    reached = {(one["kind"], one["name"]) for one in json.loads(out)["reached"]}
    root = provenance.read_certificate(made).dataset.body()["root"]
    assert ("cohort", "drawings") in reached
    assert ("model", "painter") in reached
    assert ("cohort", "outputs") in reached
    assert ("dataset", root) in reached
    assert any(kind == "certificate" for kind, _ in reached)
    code, out, _ = run(capsys, "trace", "painter", "--workspace", place)
    assert "cohort outputs (12 images, synthetic)" in out
    assert "drawings" not in out
    code, _, err = run(capsys, "trace", "nobody", "--workspace", place)
    assert (code, "painter" in err) == (2, True)

    code, out, _ = run(
        capsys,
        "ledger",
        "withdraw",
        "--cohort",
        "outputs",
        "--yes",
        "--reason",
        "asked to",
        "--workspace",
        place,
    )
    assert (code, "12 attestations withdrawn" in out, f"touches dataset {root}" in out) == (0, True, True)
    file = sorted((told / "outputs").iterdir())[0]
    code, out, _ = run(capsys, "ledger", "lookup", str(file), "--workspace", place, "--format", "json")
    (entries,) = (answer["entries"] for answer in json.loads(out)["images"])
    assert [one["withdrawn"] for one in entries if one["role"] == "attest"] == [True]
    # Its look is erased with its details: a stripped copy finds nothing any more.
    image = Image.open(file).convert("RGB")
    image.resize((80, 80)).save(told.parent / "half.jpg", quality=75)
    code, out, _ = run(capsys, "ledger", "lookup", str(told.parent / "half.jpg"), "--workspace", place)
    assert (code, "not found" in out) == (1, True)


def test_a_key_that_is_made_by_a_check_is_said_aloud(told: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "check", str(told))
    assert code in (1, 5)
    assert "A key was made for you" in out
    assert "Certificate:" not in out
