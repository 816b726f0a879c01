"""Anchors outside the log: a local time-stamping authority, a local calendar, and a header mined here.

The Bitcoin tests use a made-up chain of minimal difficulty; nothing here was checked against mainnet.
"""

from __future__ import annotations

import shutil
import subprocess
import threading
from datetime import UTC, datetime
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from genepool import provenance
from genepool.cli._main import main
from genepool.errors import CannotFinish, SignatureError, UsageError
from genepool.provenance._bitcoin import (
    BlockHeader,
    create_proof,
    ots_status,
    upgrade_proof,
    verify_proof,
)
from genepool.provenance._timestamp import request_timestamp, verify_timestamp
from support.ledgers import images, workspace

CHECKPOINT = b"example.org/log\n5\nqINS1GRFhWHwdkUeqLEoP4yEMkTBBzxBkGwGQlVlVcs=\n\n- x y\n"


class Served:
    """A loopback HTTP server around one function ``answer(method, path, body) -> (status, body)``."""

    def __init__(self, answer):
        class Handler(BaseHTTPRequestHandler):
            def _run(self, method):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, data = answer(method, self.path, body)
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_POST(self):
                self._run("POST")

            def do_GET(self):
                self._run("GET")

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()


# -------------------------------------------------------------------------------------- RFC 3161

CONFIG = """
[ req ]
distinguished_name = dn
[ dn ]
[ ca ]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
subjectKeyIdentifier = hash
[ tsa_cert ]
basicConstraints = CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[ tsa ]
default_tsa = t
[ t ]
serial = {dir}/serial
signer_cert = {dir}/tsa.pem
signer_key = {dir}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
"""


def openssl(*args, cwd):
    done = subprocess.run(["openssl", *args], cwd=cwd, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """A time-stamping authority by ``openssl ts``, with a root of its own."""
    pytest.importorskip("rfc3161_client", reason="extra `anchors` is not installed")
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    home = tmp_path_factory.mktemp("tsa")
    (home / "c.cnf").write_text(CONFIG.format(dir=home))
    (home / "serial").write_text("01\n")
    make = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-config", "c.cnf"]
    for name in ("ca", "stranger"):
        openssl(
            *("req", "-x509", *make, "-days", "2", "-extensions", "ca", "-subj", f"/CN={name}"),
            *("-keyout", f"{name}.key", "-out", f"{name}.pem"),
            cwd=home,
        )
    openssl("req", *make, "-subj", "/CN=tsa", "-keyout", "tsa.key", "-out", "tsa.csr", cwd=home)
    openssl(
        *("x509", "-req", "-in", "tsa.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-set_serial", "2"),
        *("-days", "2", "-extfile", "c.cnf", "-extensions", "tsa_cert", "-out", "tsa.pem"),
        cwd=home,
    )

    def answer(method, path, body):
        (home / "q").write_bytes(body)
        openssl("ts", "-reply", "-config", "c.cnf", "-queryfile", "q", "-out", "r", cwd=home)
        return 200, (home / "r").read_bytes()

    served = Served(answer)
    yield served.url, home
    served.close()


def test_a_token_of_a_real_authority_verifies_offline(authority):
    url, home = authority
    token = request_timestamp(url, CHECKPOINT)
    moment = verify_timestamp(token, CHECKPOINT, (home / "ca.pem").read_bytes())
    assert abs((datetime.now(UTC) - moment).total_seconds()) < 120


def test_a_token_is_refused_for_anything_else(authority):
    url, home = authority
    roots = (home / "ca.pem").read_bytes()
    token = request_timestamp(url, CHECKPOINT)
    with pytest.raises(SignatureError, match="does not verify"):
        verify_timestamp(token, CHECKPOINT + b" ", roots)
    with pytest.raises(SignatureError, match="does not verify"):
        verify_timestamp(token, CHECKPOINT, (home / "stranger.pem").read_bytes())
    with pytest.raises(UsageError, match="not readable PEM"):
        verify_timestamp(token, CHECKPOINT, b"no certificate")
    with pytest.raises(SignatureError, match="not a readable RFC 3161 response"):
        verify_timestamp(token[:40], CHECKPOINT, roots)


def test_no_flipped_byte_of_a_token_passes(authority):
    """Only bytes that the signature does not cover may change, and the time must stay the same."""
    url, home = authority
    roots = (home / "ca.pem").read_bytes()
    token = request_timestamp(url, CHECKPOINT)
    moment = verify_timestamp(token, CHECKPOINT, roots)
    for i in range(0, len(token), 5):
        flipped = bytearray(token)
        flipped[i] ^= 1
        try:
            assert verify_timestamp(bytes(flipped), CHECKPOINT, roots) == moment
        except (SignatureError, CannotFinish):
            continue


def test_an_authority_that_replays_is_noticed(authority):
    url, _ = authority
    old = request_timestamp(url, CHECKPOINT)
    replaying = Served(lambda *_: (200, old))
    with pytest.raises(SignatureError, match="answers another request"):
        request_timestamp(replaying.url, CHECKPOINT)
    replaying.close()
    broken = Served(lambda *_: (500, b""))
    with pytest.raises(CannotFinish, match="answered 500"):
        request_timestamp(broken.url, CHECKPOINT)
    broken.close()


# --------------------------------------------------------------------------------- OpenTimestamps

EASY = 1e-12


def mine(merkle_root: bytes, time: int = 1_760_000_000, bits: bytes = bytes.fromhex("ffff7f20")) -> bytes:
    """A header over this root whose hash meets the easiest target (regtest): two tries on average."""
    for nonce in range(1 << 16):
        header = b"\x01\0\0\0" + bytes(32) + merkle_root + time.to_bytes(4, "little") + bits
        header += nonce.to_bytes(4, "little")
        if sha256(sha256(header).digest()).digest()[31] < 0x7F:
            return header
    raise AssertionError("not found")


class Calendar:
    """A calendar: promises, then proves that a digest went into a block."""

    def __init__(self):
        from opentimestamps.core import notary, op, serialize, timestamp

        self.n, self.o, self.s, self.t = notary, op, serialize, timestamp
        self.mined: dict[bytes, bytes] = {}
        self.served = Served(self.answer)
        self.url = self.served.url

    def _bytes(self, stamp):
        context = self.s.BytesSerializationContext()
        stamp.serialize(context)
        return context.getbytes()

    def answer(self, method, path, body):
        if method == "POST" and path == "/digest":
            stamp = self.t.Timestamp(body)
            stamp.attestations.add(self.n.PendingAttestation(self.url))
            return 200, self._bytes(stamp)
        commitment = bytes.fromhex(path.rsplit("/", 1)[1])
        if commitment not in self.mined:
            return 404, b"Pending"
        stamp = self.t.Timestamp(commitment)
        root = stamp.ops.add(self.o.OpPrepend(self.mined[commitment])).ops.add(self.o.OpSHA256())
        root.attestations.add(self.n.BitcoinBlockHeaderAttestation(900_000))
        return 200, self._bytes(stamp)

    def mine(self, proof):
        """Put every pending commitment of a proof into one block; returns its header."""
        read = self.t.DetachedTimestampFile.deserialize(self.s.BytesDeserializationContext(proof))
        ((commitment, _),) = read.timestamp.all_attestations()
        self.mined[commitment] = b"sibling"
        return mine(sha256(b"sibling" + commitment).digest())


@pytest.fixture
def calendar():
    pytest.importorskip("opentimestamps", reason="extra `anchors` is not installed")
    running = Calendar()
    yield running
    running.served.close()


def test_from_promise_to_block(calendar):
    proof = create_proof(CHECKPOINT, [calendar.url])
    assert ots_status(proof).pending == (calendar.url,)
    with pytest.raises(SignatureError, match="still pending"):
        verify_proof(proof, CHECKPOINT, {})
    assert ots_status(upgrade_proof(proof)).heights == ()
    header = calendar.mine(proof)
    whole = upgrade_proof(proof)
    assert ots_status(whole).heights == (900_000,)
    assert verify_proof(whole, CHECKPOINT, {900_000: header}, floor=EASY) == 1_760_000_000


def test_what_is_not_anchored_is_refused(calendar):
    proof = create_proof(CHECKPOINT, [calendar.url])
    header = calendar.mine(proof)
    whole = upgrade_proof(proof)
    with pytest.raises(SignatureError, match="over something else"):
        verify_proof(whole, CHECKPOINT + b" ", {900_000: header}, floor=EASY)
    with pytest.raises(SignatureError, match="bring the header of block 900000"):
        verify_proof(whole, CHECKPOINT, {}, floor=EASY)
    with pytest.raises(SignatureError, match="does not end in the Merkle root"):
        verify_proof(whole, CHECKPOINT, {900_000: mine(bytes(32))}, floor=EASY)
    with pytest.raises(SignatureError, match="cheap to make up"):
        verify_proof(whole, CHECKPOINT, {900_000: header})
    for cut in (0, 10, len(whole) // 2):
        with pytest.raises(SignatureError, match="not a readable"):
            verify_proof(whole[:cut], CHECKPOINT, {900_000: header}, floor=EASY)


def test_an_edited_path_is_refused(calendar):
    proof = create_proof(CHECKPOINT, [calendar.url])
    header = calendar.mine(proof)
    whole = upgrade_proof(proof)
    accepted = 0
    for i in range(len(whole)):
        flipped = bytearray(whole)
        flipped[i] ^= 1
        try:
            verify_proof(bytes(flipped), CHECKPOINT, {900_000: header}, floor=EASY)
            accepted += 1
        except SignatureError:
            continue
    # The pending promise stays in the file beside the block's path; nothing rests on its bytes.
    assert accepted <= len(whole) - 60
    position = whole.index(b"sibling")
    flipped = bytearray(whole)
    flipped[position] ^= 1
    with pytest.raises(SignatureError, match="does not end in the Merkle root"):
        verify_proof(bytes(flipped), CHECKPOINT, {900_000: header}, floor=EASY)


def test_one_living_calendar_is_enough(calendar):
    proof = create_proof(CHECKPOINT, ["http://127.0.0.1:9", calendar.url])
    assert ots_status(proof).pending == (calendar.url,)
    with pytest.raises(CannotFinish, match="no calendar took the digest"):
        create_proof(CHECKPOINT, ["http://127.0.0.1:9"])


def test_the_genesis_block_of_bitcoin_reads_as_published():
    """Block 0, the published header: root, time and difficulty 1."""
    header = bytes.fromhex(
        "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e"
        "67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c"
    )
    read = BlockHeader.parse(header, floor=0)
    assert read.merkle_root[::-1].hex().startswith("4a5e1e4baab89f3a32518a88c31bc87f618f7667")
    assert (read.time, read.difficulty) == (1231006505, 1.0)
    with pytest.raises(SignatureError, match="not a mined block"):
        BlockHeader.parse(header[:-1] + b"\0", floor=0)
    with pytest.raises(SignatureError, match="cheap to make up"):
        BlockHeader.parse(header)


# ------------------------------------------------------------------------------- verb and certificate


def test_the_verb_stamps_the_head_and_the_certificate_carries_both_anchors(
    authority, calendar, tmp_path, capsys
):
    url, home = authority
    space = workspace(tmp_path)
    provenance.register_human(images(3), space, cohort="a")
    provenance.seal(space, images(3), images(3).origins("human_made", 0, 0), {"status": "pass"})
    common = ("--workspace", str(space.root))
    roots = str(home / "ca.pem")

    def run(*arguments):
        with pytest.raises(SystemExit) as stopped:
            main(list(arguments))
        return int(stopped.value.code or 0), capsys.readouterr()

    stamp = ("--tsa", url, "--roots", roots, "--calendar", calendar.url)
    code, said = run("ledger", "anchor", *stamp, *common)
    assert (code, "verified" in said.out, "promised" in said.out) == (0, True, True)
    assert run("ledger", "anchor", "--upgrade", *common)[1].out.startswith("size 13: still pending")
    head = provenance.Anchors(provenance.Ledger.open(space.ledger)).current()
    header = calendar.mine(head.opentimestamps)
    assert "in a Bitcoin block" in run("ledger", "anchor", "--upgrade", *common)[1].out
    code, said = run("ledger", "anchor", "--verify", "--roots", roots, *common)
    assert (code, "existed at" in said.out, "into block 900000" in said.out) == (0, True, True)

    paper = str(space.root / "certificate.genepool")
    code, said = run("verify", paper, "--roots", roots)
    assert code == 0
    assert "✓ rfc3161" in said.out
    assert "· opentimestamps" in said.out
    (tmp_path / "headers").write_text(f"900000 {header.hex()}\n")
    code, said = run("verify", paper, "--headers", str(tmp_path / "headers"))
    assert (code, "cheap to make up" in said.out) == (4, True)
    code, said = run("verify", paper, "--roots", str(home / "stranger.pem"))
    assert (code, "✗ rfc3161" in said.out) == (4, True)
    certificate = provenance.read_certificate(paper)
    trust = provenance.load_trust(None, provenance.load_public())
    anchored = {"roots": (home / "ca.pem").read_bytes(), "headers": {900_000: header}, "trust": trust}
    found = provenance.verify_certificate(certificate, **anchored, floor=EASY)
    assert found, found.bad
    assert {f.place: f.state for f in found.findings}["opentimestamps"] == "good"
