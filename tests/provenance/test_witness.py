"""Witnesses: what they cosign, what they refuse; no crash or race makes them cosign two histories."""

from __future__ import annotations

import base64
import http.client
import threading
from hashlib import sha256

import pytest

from genepool.errors import CannotFinish, ConfigError, IntegrityError, SignatureError
from genepool.provenance import _merkle as merkle
from genepool.provenance._checkpoint import Checkpoint
from genepool.provenance._cosignature import WitnessKey, append_signatures, cosign, read_cosignatures
from genepool.provenance._note import Signer
from genepool.provenance._quorum import load_policy, parse_policy
from genepool.provenance._witness import Witness, add_checkpoint_request
from genepool.provenance._witness_http import serve_witness, submit_checkpoint

LOG = Signer("example.org/log", bytes(range(32)))
EYE = Signer("witness.example/one", bytes(range(1, 33)))
OTHER = Signer("witness.example/two", bytes(range(2, 34)))


class Log:
    """A log in memory: leaves, roots and proofs by the Merkle module."""

    def __init__(self, entries):
        self.hashes = merkle.leaf_hashes(entries)

    def note(self, size, signer=LOG):
        root = merkle.root(self.hashes[: 32 * size])
        return Checkpoint(LOG.name, size, root).sign(signer)

    def proof(self, old, new):
        return merkle.consistency_proof(old, new, merkle.memory_fetch(self.hashes)) if 0 < old < new else []

    def submission(self, old, new):
        return add_checkpoint_request(old, self.proof(old, new), self.note(new))


HONEST = Log([b"entry %d" % i for i in range(40)])
FORKED = Log([b"entry %d" % i for i in range(10)] + [b"other %d" % i for i in range(30)])


@pytest.fixture
def witness(tmp_path):
    eye = Witness(tmp_path / "state.sqlite", EYE, {LOG.name: (LOG.verifier,)})
    yield eye
    eye.close()


def test_a_growing_log_is_cosigned_and_the_line_verifies(witness):
    for old, new in [(0, 5), (5, 5), (5, 17), (17, 40)]:
        answer = witness.add_checkpoint(HONEST.submission(old, new), now=1_700_000_000)
        assert answer.status == 200, answer
        note = append_signatures(HONEST.note(new), answer.body.decode().splitlines())
        (found,) = read_cosignatures(note, [witness.key])
        assert (found.key, found.time) == (WitnessKey.of(EYE), 1_700_000_000)


def test_the_published_example_of_the_message_format():
    """The signed message of the specification: header, time, then the whole note body."""
    text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    line = cosign(text, EYE, 1679315147)
    payload = base64.b64decode(line.split(" ")[2])
    message = b"cosignature/v1\ntime 1679315147\n" + text.encode()
    assert EYE.verifier.verify(message, payload[12:])
    assert payload[:4] == sha256(EYE.name.encode() + b"\n\x04" + EYE.verifier.public).digest()[:4]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"old 0\n" + HONEST.note(5), 400),
        (b"old 00\n\n" + HONEST.note(5), 400),
        (b"old -1\n\n" + HONEST.note(5), 400),
        (b"old 0\nnot base64\n\n" + HONEST.note(5), 400),
        (b"old 0\n" + b"AA==\n" + b"\n" + HONEST.note(5), 400),
        (b"old 6\n\n" + HONEST.note(5), 400),
        (add_checkpoint_request(0, [bytes(32)] * 64, HONEST.note(5)), 400),
        (add_checkpoint_request(0, [bytes(32)], HONEST.note(5)), 422),
        (add_checkpoint_request(0, [], HONEST.note(5, OTHER)), 403),
        (add_checkpoint_request(0, [], HONEST.note(5).replace(b"example.org", b"example.net")), 404),
        (add_checkpoint_request(0, [], HONEST.note(5).replace(b"\n5\n", b"\n6\n")), 403),
        (HONEST.submission(3, 5), 409),
        (b"old 0\n\n" + b"x" * 70_000, 400),
    ],
)
def test_what_is_refused(witness, body, status):
    assert witness.add_checkpoint(body).status == status
    # A refusal never moves the state: the first honest submission is still from zero.
    assert witness.add_checkpoint(HONEST.submission(0, 5)).status == 200


def test_a_conflict_names_the_size_that_was_cosigned(witness):
    witness.add_checkpoint(HONEST.submission(0, 17))
    answer = witness.add_checkpoint(HONEST.submission(5, 20))
    assert (answer.status, answer.body, answer.content_type) == (409, b"17\n", "text/x.tlog.size")


def test_a_fork_is_never_cosigned(witness):
    assert witness.add_checkpoint(HONEST.submission(0, 17)).status == 200
    assert witness.add_checkpoint(FORKED.submission(17, 17)).status == 409
    assert witness.add_checkpoint(FORKED.submission(17, 30)).status == 422
    assert witness.add_checkpoint(HONEST.submission(17, 30)).status == 200


def test_a_restart_remembers(tmp_path):
    logs = {LOG.name: (LOG.verifier,)}
    first = Witness(tmp_path / "s", EYE, logs)
    first.add_checkpoint(HONEST.submission(0, 17))
    first.close()
    second = Witness(tmp_path / "s", EYE, logs)
    assert second.add_checkpoint(FORKED.submission(0, 12)).status == 409
    assert second.latest(sha256(LOG.name.encode()).hexdigest()).startswith(b"example.org/log\n17\n")
    second.close()


def test_racing_submissions_never_roll_back(tmp_path):
    """The race of the specification: N and N+K from the same old size; only one may win."""
    eye = Witness(tmp_path / "s", EYE, {LOG.name: (LOG.verifier,)})
    eye.add_checkpoint(HONEST.submission(0, 4))
    statuses = []
    barrier = threading.Barrier(8)

    def submit(size):
        barrier.wait()
        statuses.append(eye.add_checkpoint(HONEST.submission(4, size)).status)
        eye.close()

    threads = [threading.Thread(target=submit, args=(10 + i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    eye.close()
    assert sorted(statuses) == [200] + [409] * 7


@pytest.fixture
def server(tmp_path):
    eye = Witness(tmp_path / "state.sqlite", EYE, {LOG.name: (LOG.verifier,)})
    running = serve_witness(eye)
    yield f"http://127.0.0.1:{running.server_address[1]}/prefix"
    running.shutdown()
    running.server_close()
    eye.close()


def test_over_http_a_log_is_witnessed_as_it_grows(server):
    key = WitnessKey.of(EYE)
    for size in (3, 3, 21, 40):
        proof = lambda old, size=size: HONEST.proof(old, size)  # noqa: E731
        cosigned = submit_checkpoint(server, HONEST.note(size), proof, key, size=size)
        assert read_cosignatures(cosigned, [key])
    for size, message in ((20, "rolled back"), (40, "forked")):
        with pytest.raises(IntegrityError, match=message):
            submit_checkpoint(server, FORKED.note(size), lambda old: [], key, size=size)


def test_over_http_nonsense_is_refused_and_the_server_lives(server):
    host = server.split("/")[2]
    for method, path, body in [
        ("POST", "/prefix/elsewhere", b"x"),
        ("GET", "/", None),
        ("POST", "/prefix/add-checkpoint", b"\xff" * 500),
    ]:
        connection = http.client.HTTPConnection(host, timeout=5)
        connection.request(method, path, body)
        assert connection.getresponse().status in (400, 404)
        connection.close()
    connection = http.client.HTTPConnection(host, timeout=5)
    connection.putrequest("POST", "/prefix/add-checkpoint")
    connection.putheader("Content-Length", "99999999")
    connection.endheaders()
    assert connection.getresponse().status == 400
    connection.close()


def test_an_unreachable_witness_is_named():
    with pytest.raises(CannotFinish, match="cannot be reached"):
        submit_checkpoint("http://127.0.0.1:9", HONEST.note(3), lambda old: [], WitnessKey.of(EYE), size=3)


# ------------------------------------------------------------------------------------ cosignatures


def test_bad_cosignatures_refuse_the_note():
    key = WitnessKey.of(EYE)
    note = HONEST.note(5)
    text = note.decode().rpartition("\n\n")[0] + "\n"
    good = cosign(text, EYE, 100)
    assert read_cosignatures(append_signatures(note, [cosign(text, OTHER, 100)]), [key]) == ()
    wrong_text = cosign(text.replace("\n5\n", "\n6\n"), EYE, 100)
    for lines, message in [
        ([wrong_text], "does not verify"),
        ([good, cosign(text, EYE, 101)], "found two"),
        ([cosign(text, EYE, 2000)], "from the future"),
    ]:
        with pytest.raises(SignatureError, match=message):
            read_cosignatures(append_signatures(note, lines), [key], now=1000)
    payload = bytearray(base64.b64decode(good.split(" ")[2]))
    for bit in range(0, len(payload) * 8, 7):
        flipped = bytearray(payload)
        flipped[bit // 8] ^= 1 << bit % 8
        line = f"— {EYE.name} {base64.b64encode(flipped).decode()}\n"
        if bit < 32:  # another key id: an unknown key
            assert read_cosignatures(append_signatures(note, [line]), [key]) == ()
        else:
            with pytest.raises(SignatureError):
                read_cosignatures(append_signatures(note, [line]), [key])


# ------------------------------------------------------------------------------------------ policy

KEYS = {name: WitnessKey.of(Signer(f"w/{name}", bytes([i]) * 32)) for i, name in enumerate("abcde", 1)}
LINES = "".join(f"witness {name} {key.vkey}\n" for name, key in KEYS.items())
GROUPS = "group x 2 a b c\ngroup y any d e\ngroup both all x y\nquorum both\n"
POLICY = f"# two houses\nlog {LOG.verifier.vkey}\n{LINES}{GROUPS}"


@pytest.mark.parametrize(
    ("cosigned", "enough"),
    [
        ("abd", True),
        ("ace", True),
        ("abc", False),
        ("de", False),
        ("ad", False),
        ("abcde", True),
        ("", False),
    ],
)
def test_a_quorum_counts_groups(cosigned, enough):
    assert parse_policy(POLICY.encode()).satisfied(KEYS[name] for name in cosigned) is enough


def test_a_checkpoint_is_held_to_the_quorum(tmp_path):
    path = tmp_path / "policy"
    path.write_text(f"witness one {WitnessKey.of(EYE).vkey}\nquorum one\n")
    note = HONEST.note(5)
    text = note.decode().rpartition("\n\n")[0] + "\n"
    with pytest.raises(SignatureError, match="the quorum 'one' is not reached, cosigned by nobody"):
        load_policy(path).require(note)
    assert load_policy(path).require(append_signatures(note, [cosign(text, EYE, 5)])) == ("one",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected one quorum line, found none"),
        ("quorum none\nquorum none\n", "line 2: expected one quorum line, found two"),
        ("quorum a\n", "line 1: 'a' is not defined above"),
        (LINES + "group x 3 a b\nquorum x\n", "from 1 to 2, found '3'"),
        (LINES + "group x 0 a b\nquorum x\n", "from 1 to 2, found '0'"),
        (LINES + "group x any a\ngroup y any a\nquorum y\n", "member of two groups"),
        (LINES + "group a any b\nquorum a\n", "the name 'a' is taken"),
        (LINES + f"witness z {KEYS['a'].vkey}\nquorum z\n", "the same witness key stands twice"),
        ("witness none x\n", "the name 'none' is taken"),
        ("wintess a b\n", "expected log, witness, group or quorum"),
        ("quorum none\r\n", "control characters"),
        (f"witness a {LOG.verifier.vkey}\nquorum a\n", "expected an Ed25519 cosigner key"),
    ],
)
def test_wrong_policies_are_named(text, message):
    with pytest.raises(ConfigError, match=message):
        parse_policy(text.encode())
