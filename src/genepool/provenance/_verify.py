"""Verifying a certificate offline: what was checked is said line by line, a change is named where it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import pairwise
from typing import Any, Literal

from genepool.config import Config
from genepool.errors import CertificateError, GenepoolError, LogError, MissingExtra
from genepool.provenance._anchored import AnchoredHead, bitcoin_sentence
from genepool.provenance._bitcoin import FLOOR
from genepool.provenance._certificate import MAX_SIZE, Certificate, Leaf
from genepool.provenance._checkpoint import Checkpoint, open_checkpoint
from genepool.provenance._cosignature import append_signatures
from genepool.provenance._merkle import leaf_hash, verify_inclusion
from genepool.provenance._note import Verifier, open_note
from genepool.provenance._quorum import LogPolicy
from genepool.provenance._rehash import compare_data
from genepool.provenance._rotation import Rotation, follow, open_rotation
from genepool.provenance._sealed import sealed_policy
from genepool.provenance._timestamp import verify_timestamp
from genepool.provenance._trust import Trust

__all__ = ["Finding", "Verification", "verify_certificate"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was checked.

    Attributes:
        place: Which part of the certificate, or which file of the data.
        state: ``good``; ``bad``; ``open``: there, but not checked, for the reason given.
        text: One sentence.
    """

    place: str
    state: Literal["good", "bad", "open"]
    text: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What verifying found.

    Attributes:
        findings: In the order in which they were checked.
        signer: Key that signed log and certificate, ``name+hash+base64``.
        summary: The certified decision in short.
    """

    findings: tuple[Finding, ...]
    signer: str
    summary: Mapping[str, Any] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return all(finding.state != "bad" for finding in self.findings)

    @property
    def bad(self) -> tuple[Finding, ...]:
        """What does not hold."""
        return tuple(finding for finding in self.findings if finding.state == "bad")

    def require(self) -> Verification:
        """Insist that everything holds.

        Raises:
            CertificateError: Names the first place that does not.
        """
        if self.bad:
            worst = self.bad[0]
            raise CertificateError(f"{worst.place}: {worst.text}")
        return self

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "valid": bool(self),
            "signer": self.signer,
            "summary": dict(self.summary),
            "findings": [{"place": f.place, "state": f.state, "text": f.text} for f in self.findings],
        }


def verify_certificate(
    certificate: Certificate,
    data: Any = None,
    *,
    verifiers: Iterable[Verifier] = (),
    trust: Trust | None = None,
    policy: LogPolicy | None = None,
    roots: bytes = b"",
    headers: Mapping[int, bytes] | None = None,
    config: Config | None = None,
    now: int | None = None,
    floor: float = FLOOR,
) -> Verification:
    """Check a certificate and, if it is there, the data that it is about. Nothing is asked of a network.

    Trusted is a signer whose public key is among ``verifiers``, that ``trust`` lets sign decisions, or that
    is a log of ``policy``; an older key of the same log counts through the rotations in the certificate.

    Args:
        certificate: As `read_certificate` gives it.
        data: The dataset, anything that `genepool.dataset.open` takes; every image is hashed again. None:
            only the certificate is checked.
        verifiers: Keys that are trusted for this call.
        trust: Trust policy; its ``witnesses`` are asked for where no ``policy`` is given.
        policy: tlog-policy: trusted logs, witnesses and their quorum.
        roots: PEM certificates of time-stamping authorities.
        headers: Bitcoin block headers by height, 80 bytes each.
        config: Settings that the decision should have been made by; None: not compared.
        now: Unix seconds; later cosignatures are refused. None: the clock.
        floor: Least difficulty of a block header that is believed.

    Returns:
        The findings; nothing is raised for what does not hold.

    Raises:
        SourceError: The data cannot be read at all.
    """
    run = _Run(certificate)
    run.log()
    run.entries()
    run.report()
    run.policy(config)
    run.witnesses(policy or (trust.witnesses if trust else None), int(time.time()) if now is None else now)
    run.anchors(roots, headers, floor)
    run.parts()
    run.signature()
    run.trust(tuple(verifiers), trust, policy)
    if data is not None:
        run.data(data)
    return Verification(tuple(run.findings), certificate.log.vkey, run.summary)


class _Run:
    """One verification, step by step; a step that fails does not keep the next ones from being told."""

    def __init__(self, certificate: Certificate) -> None:
        self.cert = certificate
        self.findings: list[Finding] = []
        self.summary: dict[str, Any] = {}
        self.rotations: tuple[Rotation, ...] = ()
        self.head: Checkpoint | None = None

    def good(self, place: str, text: str) -> None:
        self.findings.append(Finding(place, "good", text))

    def bad(self, place: str, text: str) -> None:
        self.findings.append(Finding(place, "bad", text))

    def unchecked(self, place: str, text: str) -> None:
        self.findings.append(Finding(place, "open", text))

    def attempt(self, place: str, step: Callable[[], str]) -> bool:
        """Run a step that returns its sentence or raises; MissingExtra is no verdict on the certificate."""
        try:
            self.good(place, step())
        except MissingExtra:
            raise
        except GenepoolError as error:
            self.bad(place, error.message)
            return False
        return True

    # ------------------------------------------------------------------------------------- the log

    def log(self) -> None:
        cert = self.cert

        def chain() -> str:
            found = tuple(open_rotation(note, cert.log.name) for note in cert.rotations)
            for one, two in pairwise(found):
                if one.new != two.old:
                    raise CertificateError("the statements do not make a chain")
            if found[-1].new != cert.log:
                raise CertificateError(f"the chain ends in {found[-1].new.id}, not in {cert.log.id}")
            self.rotations = found
            return f"{len(found)} changes of the log's key, each signed by the key before"

        def head() -> str:
            self.head, _ = open_checkpoint(cert.checkpoint, [cert.log], origin=cert.log.name)
            return f"head of log {self.head.origin}, {self.head.size:,} entries, signed by {cert.log.id}"

        if cert.rotations:
            self.attempt("rotation", chain)
        self.attempt("checkpoint", head)

    def entries(self) -> None:
        for name, leaf in (("dataset", self.cert.dataset), ("decision", self.cert.decision)):
            self.attempt(name, lambda name=name, leaf=leaf: self._included(name, leaf))  # type: ignore[misc]

    def _included(self, name: str, leaf: Leaf) -> str:
        if self.head is None:
            raise CertificateError("not provable without a sound checkpoint")
        try:
            verify_inclusion(leaf.index, self.head.size, leaf_hash(leaf.entry), leaf.proof, self.head.root)
        except LogError as error:
            raise CertificateError(
                f"the entry, its index or its proof was changed: {error.message}"
            ) from None
        return f"the {name} entry is leaf {leaf.index:,} of that log ({len(leaf.proof)} hashes)"

    # ---------------------------------------------------------------------------------- the decision

    def report(self) -> None:
        entry, dataset = self.cert.decision.body(), self.cert.dataset.body()
        self.attempt("report", lambda: self._report(entry, dataset))
        self.attempt("composition", lambda: _composition(dataset))

    def _report(self, entry: Mapping[str, Any], dataset: Mapping[str, Any]) -> str:
        if sha256(self.cert.report).hexdigest() != entry["digest"]:
            raise CertificateError(_where_changed(self.cert, entry))
        facts = self.cert.facts()
        about = facts.get("dataset", {})
        if entry["dataset"] != dataset["root"] or about.get("root", dataset["root"]) != dataset["root"]:
            raise CertificateError("the decision is about another dataset")
        if entry["status"] != "pass" or facts.get("status") != "pass":
            raise CertificateError(f"the decision is {entry['status']}, not pass")
        applied = facts.get("policy", {})
        if applied.get("not_applied") or facts.get("tolerated"):
            raise CertificateError(
                "the decision left rules out, or excused faults by a baseline: it certifies nothing"
            )
        rules = applied.get("rules", [])
        self.summary = {
            "status": entry["status"],
            "dataset": about.get("uri", ""),
            "n": dataset["n"],
            "root": dataset["root"],
            "at": entry["at"],
            "rules": rules,
            "composition": dataset["composition"],
            "generations": dataset.get("generations", {}),
            "measures": entry["summary"].get("measures", {}),
        }
        when = time.strftime("%Y-%m-%d %H:%M", time.gmtime(entry["at"]))
        judged = f" under {len(rules)} rules" if rules else ""
        return f"PASS{judged}, decided {when} UTC on {dataset['n']:,} images; hashes to the decision entry"

    # ------------------------------------------------------------------------------------ the policy

    def policy(self, config: Config | None) -> None:
        def step() -> str:
            if sha256(self.cert.policy).hexdigest() != self.cert.dataset.body()["policy"]:
                raise CertificateError("does not have the digest that the dataset entry holds")
            if config is None:
                return f"the settings hash to the entry's digest {sha256(self.cert.policy).hexdigest()[:16]}…"
            if self.cert.policy == sealed_policy(config):
                return "the settings are those of the given configuration"
            raise CertificateError(f"other settings than the given ones: {_differences(self.cert, config)}")

        self.attempt("policy", step)

    # -------------------------------------------------------------------------- witnesses and anchors

    def witnesses(self, policy: LogPolicy | None, now: int) -> None:
        lines = self.cert.cosignatures
        if policy is None or not policy.witnesses:
            if lines:
                self.unchecked("cosignature", f"{len(lines)} cosignatures, no witness known (--policy FILE)")
            return
        note = append_signatures(self.cert.checkpoint, lines)

        def step() -> str:
            names = policy.require(note, now=now)
            asked = "nobody was asked for" if policy.quorum == "none" else f"quorum {policy.quorum} reached"
            return (
                f"{len(names)} of {len(policy.witnesses)} witnesses cosigned "
                f"({', '.join(names) or 'none'}); {asked}"
            )

        self.attempt("cosignature", step)

    def anchors(self, roots: bytes, headers: Mapping[int, bytes] | None, floor: float) -> None:
        cert = self.cert
        if cert.rfc3161 and roots:

            def stamp() -> str:
                moment = verify_timestamp(cert.rfc3161, cert.checkpoint, roots)
                return f"the head existed at {moment:%Y-%m-%d %H:%M:%S} UTC, says the authority"

            self.attempt("rfc3161", stamp)
        elif cert.rfc3161:
            self.unchecked("rfc3161", "a time-stamping token, no authority known (--roots PEM)")
        if cert.opentimestamps and headers:
            head = AnchoredHead(0, cert.checkpoint, opentimestamps=cert.opentimestamps)
            self.attempt("opentimestamps", lambda: bitcoin_sentence(head, headers, floor))
        elif cert.opentimestamps:
            self.unchecked(
                "opentimestamps", "an OpenTimestamps proof, no block header given (--headers FILE)"
            )

    # ---------------------------------------------------------------------------------- the whole file

    def parts(self) -> None:
        stated, computed = self.cert.parts or {}, self.cert.part_digests()
        for name in computed:
            if stated.get(name) != computed[name]:
                self.bad(name, f"was changed, or its digest on the line `parts` was ({stated.get(name)})")

    def signature(self) -> None:
        def step() -> str:
            try:
                open_note(self.cert.raw, [self.cert.log], limit=MAX_SIZE)
            except GenepoolError as error:
                raise CertificateError(
                    f"the file was changed after it was signed, or this line was: {error.message}"
                ) from None
            return f"the whole file is signed by {self.cert.log.id}"

        self.attempt("signature", step)

    def trust(self, verifiers: tuple[Verifier, ...], trust: Trust | None, policy: LogPolicy | None) -> None:
        public = self.cert.log.public
        named = [key.public for key in verifiers] + [key.public for key, _ in (policy.logs if policy else ())]
        if trust is not None and any(r.old.public in trust.revoked for r in self.rotations):
            self.bad("signer", "an older key of this log, which named the present one, is revoked")
        elif trust is not None and public in trust.revoked:
            self.bad("signer", f"key {self.cert.log.id} is revoked by the trust policy")
        elif public in follow(named, self.rotations):
            self.good("signer", "the key is one of those that you named")
        elif trust is not None and trust.following(self.rotations).allows(public, "decision"):
            self.good("signer", "the trust policy lets the key sign decisions")
        else:
            self.bad(
                "signer",
                f"signed by an unknown key, {self.cert.log.vkey}; to trust it, ask the issuer for his key "
                "by another way and give it: --vkey KEY",
            )

    def data(self, data: Any) -> None:
        for place, state, text in compare_data(self.cert, data):
            self.findings.append(Finding(place, state, text))


def _composition(dataset: Mapping[str, Any]) -> str:
    counts = dataset["composition"]
    if any(type(n) is not int for n in counts.values()) or sum(counts.values()) != dataset["n"]:
        raise CertificateError(f"does not add up to the {dataset['n']:,} images")
    parts = ", ".join(f"{n:,} {name}" for name, n in sorted(counts.items(), key=lambda item: -item[1]))
    lo, hi = dataset["gen"]
    top = f"generations 0 to {hi}" if hi is not None else f"generation {lo} or more"
    return f"{parts}; {top}; adds up to {dataset['n']:,} images"


def _where_changed(cert: Certificate, entry: Mapping[str, Any]) -> str:
    """The measure whose number is not the one in the entry, if it was a number."""
    try:
        measures = cert.facts().get("measures", {})
        for name, values in entry["summary"].get("measures", {}).items():
            for key, value in values.items():
                found = measures.get(name, {}).get(key)
                if (repr(float(found)) if isinstance(found, float) else found) != value:
                    return f"measure {name}, {key}: the log holds {value}, found {found}"
    except (CertificateError, AttributeError, TypeError):
        pass
    return "does not have the digest that the decision entry holds: it was changed"


def _differences(cert: Certificate, config: Config) -> str:
    import orjson

    theirs, ours = cert.settings(), orjson.loads(sealed_policy(config))
    found = []
    for table in sorted({*theirs, *ours}):
        one, two = theirs.get(table), ours.get(table)
        if not (isinstance(one, dict) and isinstance(two, dict)):
            if one != two:
                found.append(f"{table} is {one}, expected {two}")
            continue
        differing = [key for key in sorted({*one, *two}) if one.get(key) != two.get(key)]
        found += [f"{table}.{key} is {one.get(key)}, expected {two.get(key)}" for key in differing]
    return "; ".join(found[:5]) or "the same keys in another form"
