"""Cosigned and stamped heads: asked for, kept beside the log, carried by the certificate, verified."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from genepool import provenance
from genepool.cli._main import main
from genepool.errors import CannotFinish, IntegrityError, LogError, UsageError
from genepool.provenance import Anchors, Ledger, Signer, Witness, WitnessKey, serve_witness
from support.ledgers import images, workspace


@pytest.fixture
def checked(tmp_path: Path) -> Ledger:
    """A workspace ``set.genepool`` with a passed check and its certificate."""
    space = workspace(tmp_path)
    provenance.register_human(images(4), space, cohort="a")
    provenance.seal(space, images(4), images(4).origins("human_made", 0, 0), {"status": "pass"})
    return Ledger.open(space.ledger)


@pytest.fixture
def eyes(tmp_path: Path, checked: Ledger):
    """Three running witnesses and a policy that asks for two of them."""
    servers, witnesses, lines = [], [], []
    for name in ("one", "two", "three"):
        signer = Signer.generate(f"witness.example/{name}")
        log = {checked.origin: (checked.verifier,)}
        witness = Witness(tmp_path / f"{name}.sqlite", signer, log)
        server = serve_witness(witness)
        servers.append(server)
        witnesses.append(witness)
        url = f"http://127.0.0.1:{server.server_address[1]}"
        lines.append(f"witness {name} {WitnessKey.of(signer).vkey} {url}")
    lines += [f"log {checked.verifier.vkey}", "group most 2 one two three", "quorum most", ""]
    policy = tmp_path / "policy"
    policy.write_text("\n".join(lines))
    yield policy, servers
    for server in servers:
        server.shutdown()
        server.server_close()
    for witness in witnesses:
        witness.close()


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main(list(arguments))
    said = capsys.readouterr()
    return int(stopped.value.code or 0), said.out, said.err


def certificate(ledger: Ledger) -> provenance.Certificate:
    return provenance.read_certificate(Path(ledger.path).parent / provenance.CERTIFICATE)


def test_a_certificate_demands_its_quorum(checked: Ledger, eyes, capsys: pytest.CaptureFixture[str]) -> None:
    path, servers = eyes
    place = str(Path(checked.path).parent)
    policy = provenance.load_policy(path)
    lonely = provenance.verify_certificate(certificate(checked), policy=policy)
    assert [finding.place for finding in lonely.bad] == ["cosignature"]
    servers[2].shutdown()
    servers[2].server_close()
    code, out, _ = run(capsys, "ledger", "witness", "submit", "--policy", str(path), "--workspace", place)
    assert code == 0, out
    assert "three did not" in out
    assert "quorum most: reached" in out
    found = provenance.verify_certificate(certificate(checked), policy=policy)
    assert found, found.bad
    assert "2 of 3 witnesses cosigned (one, two); quorum most reached" in str(found.findings)
    stricter = provenance.load_policy(path)
    stricter = replace(stricter, quorum="three")
    refused = provenance.verify_certificate(certificate(checked), policy=stricter)
    assert [finding.place for finding in refused.bad] == ["cosignature"]
    # A cosignature from tomorrow
    early = provenance.verify_certificate(certificate(checked), policy=policy, now=1_000_000_000)
    assert "from the future" in early.bad[0].text
    code, out, _ = run(capsys, "ledger", "checkpoint", "--workspace", place, "--format", "json")
    assert json.loads(out)["cosigned_by"] == ["witness.example/one", "witness.example/two"]
    code, out, _ = run(capsys, "ledger", "show", "--workspace", place)
    assert "cosigned by witness.example/one, witness.example/two" in out
    code, out, _ = run(capsys, "ledger", "anchor", "--verify", "--policy", str(path), "--workspace", place)
    assert (code, "cosigned by one, two" in out) == (0, True)


def test_asking_again_keeps_one_line_for_each_witness(checked: Ledger, eyes) -> None:
    path, _ = eyes
    policy = provenance.load_policy(path)
    provenance.submit_head(checked, policy, only=["one"])
    head, failed = provenance.submit_head(checked, policy)
    assert failed == {}
    assert len(head.cosignatures) == 3
    head, _ = provenance.submit_head(checked, policy)
    assert len(head.cosignatures) == 3
    assert len(policy.require(head.cosigned)) == 3
    with pytest.raises(UsageError, match="expected one of one, two, three"):
        provenance.submit_head(checked, policy, only=["four"])


def test_a_witness_that_saw_another_history_stops_the_submission(
    checked: Ledger, eyes, tmp_path: Path
) -> None:
    path, _ = eyes
    policy = provenance.load_policy(path)
    provenance.submit_head(checked, policy)
    own = provenance.load_key()
    assert own is not None
    fork = Ledger.open(tmp_path / "fork" / "ledger", create=True, signer=own.signer, origin=checked.origin)
    fork.append([b"another history"] * checked.size)
    with pytest.raises(IntegrityError, match="forked"):
        provenance.submit_head(fork, policy)


def test_stored_heads_are_compared_with_the_log(checked: Ledger, eyes) -> None:
    path, _ = eyes
    provenance.submit_head(checked, provenance.load_policy(path))
    anchors = Anchors(checked)
    (head,) = anchors.heads()
    place = anchors.folder / str(head.size)
    (place / "cosigned").write_bytes(b"x" + head.cosigned)
    with pytest.raises(LogError, match="cosigned: expected the checkpoint beside it"):
        anchors.heads()
    (place / "cosigned").write_bytes(head.cosigned)
    place.rename(anchors.folder / "3")
    with pytest.raises(LogError, match="forked or rolled back"):
        anchors.heads()
    (anchors.folder / "3" / "checkpoint").unlink()
    with pytest.raises(LogError, match="missing"):
        anchors.heads()


def test_stamps_travel_with_the_certificate(
    checked: Ledger, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The token and the proof themselves are tested with a real authority in test_anchors."""
    place = str(Path(checked.path).parent)
    pytest.importorskip("opentimestamps", reason="extra `anchors` is not installed")
    code, _, err = run(capsys, "ledger", "anchor", "--workspace", place)
    assert (code, "--tsa URL" in err) == (2, True)
    with pytest.raises(CannotFinish, match="no calendar took the digest"):
        provenance.anchor_head(checked, calendars=["http://127.0.0.1:9"])
    code, out, _ = run(capsys, "ledger", "anchor", "--verify", "--workspace", place)
    assert "nothing is anchored yet" in out
    anchors = Anchors(checked)
    anchors.keep(replace(anchors.current(), rfc3161=b"token", opentimestamps=b"proof"))
    provenance.refresh_certificate(workspace(Path(place).parent))
    found = certificate(checked)
    assert (found.rfc3161, found.opentimestamps) == (b"token", b"proof")
    own = provenance.load_key()
    assert own is not None
    result = provenance.verify_certificate(found, verifiers=[own.signer.verifier])
    assert result
    assert {f.place for f in result.findings if f.state == "open"} == {"rfc3161", "opentimestamps"}
    (tmp_path / "headers").write_text(f"# height header\n900000 {'00' * 80}\n")
    refused = run(capsys, "verify", f"{place}/certificate.genepool", "--headers", str(tmp_path / "headers"))
    assert refused[0] == 4
    assert "✗ opentimestamps" in refused[1]


def test_a_witness_is_served_until_it_is_stopped(checked: Ledger, tmp_path: Path) -> None:
    """The verb itself, in a process of its own; its state and key survive it."""
    import os
    import signal
    import subprocess
    import sys

    keys = []
    for _ in range(2):
        command = [sys.executable, "-m", "genepool", "ledger", "witness", "serve", "--port", "0"]
        options = [
            "--log",
            checked.verifier.vkey,
            "--key",
            f"{tmp_path}/w.key",
            "--state",
            f"{tmp_path}/w.db",
        ]
        with subprocess.Popen(
            [*command, *options], stdout=subprocess.PIPE, text=True, env={**os.environ}
        ) as running:
            assert running.stdout is not None
            key = running.stdout.readline().split()[1]
            line = running.stdout.readline().replace("policy  witness NAME", "witness eye")
            (tmp_path / "policy").write_text(f"{line}quorum eye\n")
            head, failed = provenance.submit_head(checked, provenance.load_policy(tmp_path / "policy"))
            running.send_signal(signal.SIGTERM)
            assert running.wait(20) == 0
        keys.append(key)
        assert (failed, len(head.cosignatures)) == ({}, 1)
    assert keys[0] == keys[1]
