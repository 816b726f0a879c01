"""The verbs register, verify and ledger on real folders of pictures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from genepool import dataset
from genepool.cli._main import main
from genepool.engine import LocalEngine
from genepool.provenance import DataProvenanceBlockchain, Proof, Verifier, open_trail
from genepool.store import Workspace
from support.scans import encoded, picture, use_probes


@pytest.fixture
def gallery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``set/human`` with four pictures, ``set/ai`` with three; scans run in this process, without probes."""
    use_probes(monkeypatch)
    monkeypatch.setattr("genepool.scan._scan.configured", lambda config: LocalEngine(inline=True))
    monkeypatch.chdir(tmp_path)
    for name, numbers in (("human", range(4)), ("ai", range(10, 13))):
        (tmp_path / "set" / name).mkdir(parents=True)
        for number in numbers:
            (tmp_path / "set" / name / f"{number}.png").write_bytes(encoded(picture(number), "PNG"))
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main(list(arguments))
    said = capsys.readouterr()
    return int(stopped.value.code or 0), said.out, said.err


def test_the_whole_story(gallery: Path, capsys: pytest.CaptureFixture[str], own_home: Path) -> None:
    code, out, _ = run(capsys, "register", "human", "set/human", "--artist", "Ada")
    assert code == 0
    assert "A key was made for you" in out
    assert str(own_home / "key") in out
    assert "4 images attested" in out
    assert "Next: genepool check set/human" in out
    assert (gallery / "set" / "human.genepool" / "ledger" / "checkpoint").is_file()

    code, out, _ = run(capsys, "register", "model", "painter", "--trained-on", "human=1")
    assert code == 0
    assert "generation 1." in out
    code, out, _ = run(capsys, "register", "outputs", "set/ai", "--model", "painter", "--format", "json")
    assert code == 0
    assert json.loads(out)["generation"] == [1, 1]

    code, out, _ = run(capsys, "verify", "set", "--format", "json")
    found = json.loads(out)
    assert code == 0
    assert found["counts"] == {"unknown": 0, "human": 4, "ai": 3, "other": 0, "disputed": 0}
    assert found["human_share"]["lower"] == found["human_share"]["upper"] == pytest.approx(4 / 7)
    code, out, _ = run(capsys, "verify", "set")
    assert "attested human" in out
    assert "human (4)" in out

    report = DataProvenanceBlockchain().verify_origins("set")
    assert (report.n_human, report.n_ai) == (4, 3)
    opened = dataset.open("set")
    assert DataProvenanceBlockchain(str(gallery / "w")).verify_origins(opened).n_human == 4


def test_a_folder_of_a_checked_set_is_attested_in_that_sets_log(
    gallery: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Workspace(gallery / "set.genepool").create()
    code, out, _ = run(capsys, "register", "human", "set/human", "--captured", "--cohort", "Photos")
    assert code == 0
    assert "captured" in out
    assert "Next: genepool check set\n" in out
    assert not (gallery / "set" / "human.genepool").exists()
    trail = open_trail(Workspace(gallery / "set.genepool"))
    assert trail.cohorts["Photos"].origin == "captured"
    code, out, _ = run(capsys, "register", "human", "set/human", "--captured", "--cohort", "Photos")
    assert "4 of them were attested before; 0 entries are new" in out


def test_a_registered_folder_names_what_a_model_was_trained_on(
    gallery: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "register", "human", "set/human", "--cohort", "renamed")
    code, out, _ = run(capsys, "register", "model", "m", "--trained-on", "set/human")
    assert (code, "generation 1." in out) == (0, True)
    trail = open_trail(Workspace(gallery / "set" / "human.genepool"))
    assert trail.models["m"].trained_on == (("renamed", None),)
    code, _, err = run(capsys, "register", "model", "m", "--trained-on", "set/ai")
    assert code == 2
    assert "genepool register human set/ai" in err


def test_ledger_show_audit_prove(gallery: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "register", "human", "set/human")
    code, out, _ = run(capsys, "ledger", "show", "--workspace", "set/human.genepool", "--format", "json")
    shown = json.loads(out)
    assert code == 0
    assert shown["size"] == 8
    assert shown["claims"] == {"human_made": 4}
    code, out, _ = run(capsys, "ledger", "show", "--workspace", "set/human.genepool")
    for key in ("origin", "size", "root", "vkey"):
        assert f"\n{key} " in f"\n{out}"
    code, out, _ = run(capsys, "ledger", "audit", "--workspace", "set/human.genepool")
    assert (code, "The log is sound: 8 entries" in out) == (0, True)
    code, out, _ = run(
        capsys, "ledger", "prove", "set/human/1.png", "-o", "one.tlog-proof", "--format", "json"
    )
    assert code == 0
    proof = Proof.parse((gallery / "one.tlog-proof").read_bytes())
    checkpoint = proof.verify(None, [Verifier.parse(shown["vkey"])], origin=shown["origin"])
    assert checkpoint.root.hex() == shown["root"]
    code, _, err = run(
        capsys, "ledger", "prove", "set/ai/10.png", "-o", "x", "--workspace", "set/human.genepool"
    )
    assert (code, "not in the log" in err) == (2, True)


def test_a_tampered_log_ends_with_exit_code_4(gallery: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "register", "human", "set/human")
    place = gallery / "set" / "human.genepool"
    path = place / "ledger" / "tile" / "entries" / "000.p" / "8"
    data = path.read_bytes()
    path.write_bytes(data.replace(b"human_made", b"human_mads", 1))
    for arguments in (
        ("verify", "set/human"),
        ("ledger", "audit", "--workspace", str(place)),
        ("ledger", "show", "--workspace", str(place)),
        ("ledger", "prove", "set/human/1.png", "-o", "x"),
        ("register", "human", "set/human"),
    ):
        code, _, err = run(capsys, *arguments)
        assert code == 4, arguments
        assert "tile/entries/000.p/8: entry 3" in err
    path.write_bytes(data)
    detail = place / "detail.sqlite"
    detail.write_bytes(b"SQLite format 3\0" + bytes(3000))
    code, _, err = run(capsys, "ledger", "audit", "--workspace", str(place))
    assert (code, "detail.sqlite" in err) == (4, True)


def test_help_of_every_verb() -> None:
    from genepool.cli.ledger import command as ledger
    from genepool.cli.register import command as register
    from genepool.cli.verify import command as verify

    for command in (ledger, register, verify, *ledger.commands.values(), *register.commands.values()):  # type: ignore[attr-defined]
        result = CliRunner().invoke(command, ["--help"])
        assert result.exit_code == 0
        assert "Usage" in result.output


def test_wrong_usage(gallery: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "ledger", "show")[0] == 2
    assert run(capsys, "register", "model", "m", "--trained-on", "unknown")[0] == 2
    assert run(capsys, "register", "outputs", "set/ai", "--model", "nobody")[0] == 2
    assert run(capsys, "register", "human", "nowhere")[0] == 3
