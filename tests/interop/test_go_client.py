"""A client that genepool did not write accepts its logs: Go's ``sumdb/note`` and ``sumdb/tlog``.

Needs ``go`` and Debian's ``golang-golang-x-mod-dev`` (sources in ``/usr/share/gocode``); skipped without.
"""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from genepool import provenance
from genepool.provenance import Ledger, Signer
from support.ledgers import images, workspace

GOPATH = "/usr/share/gocode"
SOURCE = Path(__file__).with_name("main.go")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("go") is None:
        pytest.skip("Go is not installed (Debian: golang-go)")
    if not Path(GOPATH, "src/golang.org/x/mod/sumdb/tlog").is_dir():
        pytest.skip("golang.org/x/mod is not installed (Debian: golang-golang-x-mod-dev)")
    folder = tmp_path_factory.mktemp("go")
    environment = {**os.environ, "GO111MODULE": "off", "GOPATH": GOPATH, "GOCACHE": str(folder / "cache")}
    environment |= {"GOFLAGS": "", "GOPROXY": "off", "CGO_ENABLED": "0", "HOME": str(folder)}
    program = folder / "client"
    done = subprocess.run(
        ["go", "build", "-o", str(program), str(SOURCE)],
        env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return program


def run(client: Path, ledger: Ledger, old: int, before: bytes, count: int = 200) -> tuple[int, str, str]:
    done = subprocess.run(
        [str(client), str(ledger.path), ledger.verifier.vkey, str(old), str(count)],
        input=base64.b64encode(before).decode() + "\n",
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def test_a_log_of_three_levels_is_read_and_its_proofs_hold(client: Path, tmp_path: Path) -> None:
    ledger = Ledger.open(
        tmp_path / "log", create=True, signer=Signer.generate("any"), origin="example.org/genepool"
    )
    ledger.append([b"entry %d" % i for i in range(257)])
    old, before = ledger.size, ledger.root
    ledger.append([b"entry %d" % i for i in range(257, 82_602)])
    code, out, error = run(client, ledger, old, before)
    assert (code, error) == (0, "")
    assert out.startswith("82602 entries, 200 inclusion proofs, 1 consistency proof from 257")
    # The client would notice: a wrong earlier root, a changed entry, tile of the right edge, or head.
    # (Whether it looks at other tiles depends on what it asked for: that is ours to audit.)
    assert "consistency" in run(client, ledger, old, bytes(32))[2]
    for name, said in (
        ("tile/entries/000", "inclusion"),
        ("tile/1/001.p/66", "inconsistent tile"),
        ("checkpoint", ""),
    ):
        path = tmp_path / "log" / name
        good = path.read_bytes()
        at = good.index(b"82602") if name == "checkpoint" else 5
        path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        code, _, error = run(client, ledger, old, before)
        assert code == 1, name
        assert said in error
        path.write_bytes(good)


def test_the_log_of_a_workspace_is_read(client: Path, tmp_path: Path) -> None:
    space = workspace(tmp_path)
    provenance.register_human(images(30, "a"), space, cohort="a")
    key = provenance.load_key()
    assert key is not None
    first = Ledger.open(space.ledger, verifiers=[key.signer.verifier])
    old, before = first.size, first.root
    provenance.register_model(space, "m", [("a", 1.0)])
    provenance.register_outputs(images(300, "b"), space, model="m", cohort="b")
    ledger = Ledger.open(space.ledger, verifiers=[key.signer.verifier])
    code, out, error = run(client, ledger, old, before, count=1000)
    assert (code, error) == (0, "")
    assert out.startswith(f"{ledger.size} entries, {ledger.size} inclusion proofs")
