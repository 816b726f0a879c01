"""`genepool hook`: single files at the door, by what they carry."""

from __future__ import annotations

import json

import pytest

from genepool import origin, provenance
from genepool.config import Config
from genepool.errors import UsageError
from genepool.store import Workspace
from support import marks
from support.ledgers import images


@pytest.fixture
def art(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "art" / "new"
    folder.mkdir(parents=True)
    for i in range(3):
        (folder / f"{i}.png").write_bytes(marks.png(Title=f"picture {i}"))
    return folder


def told(run, *arguments):
    answer = run("hook", "provenance", *arguments, "--format", "json")
    files = {one["path"]: one for one in json.loads(answer.out)["files"]}
    return answer.code, files


def test_what_counts_and_what_does_not(run, art):
    (art / "made.png").write_bytes(marks.png(parameters=marks.A1111))
    (art.parent / "genepool.jsonl").write_text('{"file": "new/1.png", "origin": "human_made"}\n')
    (art / "2.png.genepool.json").write_text('{"artist": "Ada"}')
    names = ["art/new/0.png", "art/new/1.png", "art/new/2.png", "art/new/made.png", "art/new/gone.png"]
    code, files = told(run, *names)
    assert code == 1
    assert [files[name]["how"] for name in names] == ["", "sidecar", "", "metadata", ""]
    assert [files[name]["ok"] for name in names] == [False, True, False, True, False]
    assert "nothing says what made it" in files["art/new/2.png"]["detail"], "an artist's name is no origin"
    assert told(run, "art/new/1.png", "art/new/made.png")[0] == 0
    code, files = told(run, "art/new/1.png", "art/new/made.png", "--require", "attested")
    assert code == 1
    assert {one["detail"].split(" about")[0] for one in files.values()} == {"what it says"}
    assert run("hook", "provenance").code == 0, "a commit without images"
    # Sidecars above the root are not the dataset's.
    assert told(run, "art/new/1.png", "--root", "art/new")[0] == 1


def test_what_people_and_github_read(run, art):
    text = run("hook", "provenance", "art/new/0.png", "art/new/1.png").out
    assert "GP202 art/new/0.png: nothing says what made it" in text
    assert text.count("genepool register human art/new") == 1
    assert '{"file": "0.png", "origin": "human_made"}' in text
    signed = run("hook", "provenance", "art/new/0.png", "--require", "attested").out
    assert "genepool register human art/new" in signed
    assert "genepool register outputs art/new --model NAME" in signed
    assert "genepool.jsonl" not in signed, "a sidecar's line is not signed: it would not help"
    lines = run("hook", "provenance", "art/new/0.png", "--format", "github").out.splitlines()
    assert lines == ["::error file=art/new/0.png,title=GP202::nothing says what made it"]
    assert run("explain", "GP202").code == 0


def test_a_file_that_is_registered_in_the_log(run, art):
    """By its bytes, in the workspace beside the set; one byte more is another file."""
    place = Workspace(art.parent.with_name("art.genepool"))
    provenance.register_human(images(2), place, cohort="mine", config=Config())
    for i, data in enumerate((b"image-0.png", b"image-1.png\0", b"image-2.png")):
        (art / f"{i}.png").write_bytes(data)  # the digests under which they were registered
    names = [f"art/new/{i}.png" for i in range(3)]
    for require in ("declared", "attested"):
        code, files = told(run, *names, "--require", require)
        assert code == 1
        assert [files[name]["how"] for name in names] == ["log", "", ""]
        assert files[names[0]]["detail"].startswith("registered as human_made by ")


def test_a_file_outside_is_refused(art, tmp_path):
    with pytest.raises(UsageError, match="below"):
        origin.carried([tmp_path / "elsewhere.png"], art)


def test_policies(run, tmp_path):
    good, bad, strange = (tmp_path / f"{name}.toml" for name in ("good", "bad", "strange"))
    good.write_text("[policy]\nhuman_ratio = 0.5\n")
    bad.write_text("[policy]\nhuman_ration = 0.5\n")
    strange.write_text('[policy]\nrules = ["nobody"]\n')
    assert run("hook", "policy", good).out == f"{good}: sound\n"
    answer = run("hook", "policy", good, bad)
    assert answer.code == 2
    assert "did you mean `policy.human_ratio`?" in answer.err
    assert run("hook", "policy", strange).code == 3
