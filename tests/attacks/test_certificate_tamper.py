"""A certificate with one byte changed is refused, wherever that is, and the place is named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from genepool import provenance
from genepool.errors import CertificateError
from genepool.provenance import _certify
from genepool.provenance._cosignature import cosign
from genepool.provenance._note import Signer
from genepool.provenance._sealed import sealed_decision, sealed_policy
from support.ledgers import images, workspace

WITNESS = Signer("witness.example/one", bytes(range(1, 33)))


@pytest.fixture
def made(tmp_path: Path) -> tuple[provenance.Certificate, Signer]:
    """A certificate with a cosignature and anchors that nobody has keys for: only its own signature helps."""
    space = workspace(tmp_path)
    found = images(6)
    provenance.register_human(found, space, cohort="a")
    decision = {"status": "pass", "measures": {"human_ratio": {"value": 1.0, "lower": 0.9, "n": 6}}}
    sealed = provenance.seal(space, found, found.origins("human_made", 0, 0), decision)
    plain = provenance.read_certificate(sealed.certificate)
    own = provenance.load_key()
    assert own is not None
    line = cosign(plain.checkpoint.decode().rpartition("\n\n")[0] + "\n", WITNESS, 1_700_000_000)
    full = replace(
        plain, cosignatures=(line.strip(),), rfc3161=b"token" * 9, opentimestamps=b"proof" * 9, parts=None
    )
    path = _certify._write(space, full, own.signer)
    return provenance.read_certificate(path), own.signer


def judge(data: bytes, key: provenance.Verifier) -> str:
    """The first place that does not hold; empty: everything holds."""
    try:
        found = provenance.verify_certificate(provenance.parse_certificate(data), verifiers=[key])
    except CertificateError as error:
        return error.message
    return "" if found else f"{found.bad[0].place}: {found.bad[0].text}"


def test_every_flipped_byte_is_noticed_and_its_line_named(
    made: tuple[provenance.Certificate, Signer],
) -> None:
    certificate, signer = made
    raw = certificate.raw
    assert judge(raw, signer.verifier) == ""
    lines = raw.split(b"\n")
    for at in range(len(raw)):
        changed = bytearray(raw)
        changed[at] ^= 1 << at % 8
        place = judge(bytes(changed), signer.verifier)
        number = raw[:at].count(b"\n")
        word = lines[number].split(b" ")[0].decode().removesuffix("-proof")
        if b"\n" in (raw[at : at + 1], bytes(changed[at : at + 1])) or not word or word == "—":
            assert place, at  # lines became one or two: the reader says which it misses
        elif word == "parts":
            assert place, at  # the digest of a field no longer is the field's: that field is named
        else:
            assert word in place or f"line {number + 1}" in place, (at, word, place)


def test_no_truncated_or_extended_certificate_passes(made: tuple[provenance.Certificate, Signer]) -> None:
    certificate, signer = made
    raw = certificate.raw
    for cut in range(0, len(raw), 7):
        assert judge(raw[:cut], signer.verifier)
    for more in (b"\n", b" ", raw[raw.rindex(b"\n\n") + 2 :], b"\x00"):
        assert judge(raw + more, signer.verifier)
    assert judge(raw.replace(b"\n", b"\r\n"), signer.verifier)


def test_fields_cannot_be_dropped_doubled_or_swapped(made: tuple[provenance.Certificate, Signer]) -> None:
    certificate, signer = made
    lines = certificate.raw.split(b"\n")
    for at in range(len(lines) - 1):
        assert judge(b"\n".join(lines[:at] + lines[at + 1 :]), signer.verifier), lines[at][:20]
        assert judge(b"\n".join(lines[: at + 1] + lines[at:]), signer.verifier), lines[at][:20]
        if lines[at] != lines[at + 1]:
            swapped = [*lines[:at], lines[at + 1], lines[at], *lines[at + 2 :]]
            assert judge(b"\n".join(swapped), signer.verifier), lines[at][:20]


def test_a_signed_lie_of_the_issuer_about_the_log_is_refused(
    made: tuple[provenance.Certificate, Signer],
) -> None:
    """Whoever holds the key can sign any file, but not a decision that the log does not hold."""
    certificate, signer = made
    name = certificate.log.name

    def refused(place: str, **changes: object) -> None:
        lie = replace(certificate, parts=None, raw=b"", **changes)  # type: ignore[arg-type]
        found = judge(lie.sign(signer.renamed(name)), signer.verifier)
        assert found.startswith(place), found

    better = certificate.report.replace(b'"lower":0.9', b'"lower":1.0')
    refused("report: measure human_ratio, lower: the log holds 0.9, found 1.0", report=better)
    refused("report: does not have the digest", report=certificate.report + b" ")
    refused("policy", policy=certificate.policy.replace(b"0.7", b"0.1"))
    other = replace(certificate.dataset, index=certificate.dataset.index - 1)
    refused("dataset", dataset=other)
    grown = certificate.dataset.entry.replace(b'"n":6', b'"n":7')
    refused("dataset", dataset=replace(certificate.dataset, entry=grown))
    refused("checkpoint", checkpoint=certificate.checkpoint.replace(b"\n", b"\n0", 1))


def test_a_pass_that_left_rules_out_is_no_certificate(tmp_path: Path) -> None:
    """Even when somebody's own program writes one: the entry is in the log, the signature is good."""
    space = workspace(tmp_path)
    found = images(3)
    own = provenance.load_key(create=True)
    assert own is not None
    for more in ({"policy": {"not_applied": ["GP401"]}}, {"tolerated": [{"code": "GP101"}]}):
        decision = {"status": "pass", **more}
        done = provenance.seal(space, found, found.origins("human_made", 0, 0), decision)
        assert done.certificate == ""
        ledger = provenance.Ledger.open(space.ledger, verifiers=[own.signer.verifier])
        dataset = provenance.read_log(ledger).datasets[-1][0]
        report, policy = sealed_decision(decision), sealed_policy(None)
        sealed = _certify.Sealed(dataset, done.decision, report, policy, found.shas)
        path = provenance.make_certificate(space, ledger, own.signer, sealed)
        assert judge(path.read_bytes(), own.signer.verifier).startswith("report: the decision left rules out")


def test_another_key_and_another_log_are_refused(made: tuple[provenance.Certificate, Signer]) -> None:
    certificate, signer = made
    thief = Signer.generate("thief")
    stolen = replace(certificate, log=thief.renamed(certificate.log.name).verifier, parts=None, raw=b"")
    data = stolen.sign(thief.renamed(certificate.log.name))
    assert judge(data, signer.verifier).startswith("checkpoint")
    assert judge(data, thief.verifier).startswith("checkpoint")
    assert "unknown key" in judge(certificate.raw, thief.verifier)


def test_a_decision_that_did_not_pass_is_never_certified(tmp_path: Path) -> None:
    space = workspace(tmp_path)
    found = images(3)
    passed = provenance.seal(space, found, found.origins("human_made", 0, 0), {"status": "pass"})
    assert Path(passed.certificate).exists()
    failed = provenance.seal(space, found, found.origins("human_made", 0, 0), {"status": "fail"})
    assert failed.certificate == ""
    assert not (space.root / provenance.CERTIFICATE).exists()
    assert (space.root / "certificates" / f"{passed.decision}.genepool").exists()
    # The failed decision's entry under the passed one's certificate
    old = provenance.read_certificate(space.root / "certificates" / f"{passed.decision}.genepool")
    own = provenance.load_key()
    assert own is not None
    ledger = provenance.Ledger.open(space.ledger, verifiers=[own.signer.verifier])
    leaf = _certify._leaf(ledger, failed.decision, ledger.size)
    moved = _certify._leaf(ledger, old.dataset.index, ledger.size)
    lie = replace(
        old, decision=leaf, dataset=moved, checkpoint=ledger.signed_checkpoint(), parts=None, raw=b""
    )
    assert judge(lie.sign(own.signer.renamed(ledger.origin)), own.signer.verifier).startswith("report")
