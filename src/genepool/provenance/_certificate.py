"""The certificate: one text file that proves a passed decision, offline and without the workspace.

A signed note (C2SP signed-note) whose text is a list of fields, one a line, in a fixed order::

    genepool.certificate/1
    log <vkey of the log>
    rotation <base64 of the statement by which the log went over to a newer key>   (any number)
    dataset <leaf index> <entry, canonical JSON>
    dataset-proof <base64 hash>…
    decision <leaf index> <entry, canonical JSON>
    decision-proof <base64 hash>…
    report <the decision as it was sealed, JSON>
    policy <the settings that it was judged by, JSON>
    images <width> <base64 of the sorted digests, cut to width bytes each>
    aside <base64 of 8 bytes of the digest of each file that could not be read>
    checkpoint <a line of the signed checkpoint>      (as often as it has lines)
    cosignature <a signature line of a witness>       (any number)
    rfc3161 <base64 of the DER response>              (at most once)
    opentimestamps <base64 of the .ots file>          (at most once)
    parts <field>=<16 hex digits>…

    — <log's name> <base64 signature>

Every field is bound to the signed checkpoint by a hash or a proof, so that a change is named where it is; the
note's own signature by the log's key covers whatever a verifier has no keys for (witnesses that he does not
know, anchors without his roots).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import orjson

from genepool.errors import CertificateError, LogError, SignatureError
from genepool.provenance._entries import decode
from genepool.provenance._note import Signer, Verifier, sign_note, strict_base64

__all__ = [
    "HEADER",
    "MAX_SIZE",
    "Certificate",
    "Leaf",
    "cut_digests",
    "parse_certificate",
    "read_certificate",
]

HEADER: Final = "genepool.certificate/1"
MAX_SIZE: Final = 16 * 1024 * 1024
ASIDE_WIDTH: Final = 8
_LIST_BYTES: Final = 4 * 1024 * 1024
_PARTS = ("images", "aside", "cosignature", "rfc3161", "opentimestamps")
_INDEX = re.compile(r"(0|[1-9][0-9]{0,15}) (.+)", re.DOTALL)
_HASH = 32


@dataclass(frozen=True, slots=True)
class Leaf:
    """An entry of the log with its inclusion proof.

    Attributes:
        index: Leaf index.
        entry: The entry's bytes.
        proof: Hashes of the audit path, from the leaf up.
    """

    index: int
    entry: bytes
    proof: tuple[bytes, ...]

    def body(self) -> dict[str, Any]:
        """The entry, read.

        Raises:
            LogError: Not a canonical entry.
        """
        return decode(self.entry)


@dataclass(frozen=True, slots=True)
class Certificate:
    """What the file holds; nothing of it is verified by reading it (see `verify_certificate`).

    Attributes:
        log: Key of the log, which also signs this file.
        dataset, decision: The entries, with their proofs.
        report: The decision's JSON as it was sealed.
        policy: JSON of the settings that it was judged by.
        width: Bytes kept of each image's digest in ``images``; 0: no list.
        images: The sorted digests, cut to ``width`` bytes each, laid end to end.
        aside: 8 bytes of the digest of every file that could not be read, sorted, end to end.
        checkpoint: The signed checkpoint, without cosignatures.
        cosignatures: Signature lines of witnesses.
        rfc3161: DER ``TimeStampResp`` over the checkpoint's bytes; empty: none.
        opentimestamps: Detached proof over the checkpoint's bytes; empty: none.
        rotations: Statements by which older keys of the log were replaced, oldest first.
        parts: What the file states as digests of the fields that only its signature covers.
        raw: The file's bytes; empty for one that is not signed yet.
    """

    log: Verifier
    dataset: Leaf
    decision: Leaf
    report: bytes
    policy: bytes
    width: int
    images: bytes
    aside: bytes
    checkpoint: bytes
    cosignatures: tuple[str, ...] = ()
    rfc3161: bytes = b""
    opentimestamps: bytes = b""
    rotations: tuple[bytes, ...] = ()
    parts: Mapping[str, str] | None = None
    raw: bytes = b""

    def facts(self) -> dict[str, Any]:
        """The report as plain data.

        Raises:
            CertificateError: Not a JSON object.
        """
        return _object(self.report, "report")

    def settings(self) -> dict[str, Any]:
        """The policy as plain data.

        Raises:
            CertificateError: Not a JSON object.
        """
        return _object(self.policy, "policy")

    def part_digests(self) -> dict[str, str]:
        """The digests that `parts` should state, computed."""
        values = {
            "images": f"{self.width} ".encode() + self.images,
            "aside": self.aside,
            "cosignature": "\n".join(self.cosignatures).encode(),
            "rfc3161": self.rfc3161,
            "opentimestamps": self.opentimestamps,
        }
        return {name: sha256(values[name]).hexdigest()[:16] for name in _PARTS}

    def text(self) -> str:
        """The note's text."""
        lines = [HEADER, f"log {self.log.vkey}", *(f"rotation {_b64(note)}" for note in self.rotations)]
        for name, leaf in (("dataset", self.dataset), ("decision", self.decision)):
            lines.append(f"{name} {leaf.index} {leaf.entry.decode()}")
            lines.append(" ".join([f"{name}-proof", *map(_b64, leaf.proof)]))
        lines += [f"report {self.report.decode()}", f"policy {self.policy.decode()}"]
        lines += [f"images {self.width} {_b64(self.images)}".rstrip(), f"aside {_b64(self.aside)}".rstrip()]
        lines += [f"checkpoint {line}".rstrip() for line in self.checkpoint.decode()[:-1].split("\n")]
        lines += [f"cosignature {line}" for line in self.cosignatures]
        if self.rfc3161:
            lines.append(f"rfc3161 {_b64(self.rfc3161)}")
        if self.opentimestamps:
            lines.append(f"opentimestamps {_b64(self.opentimestamps)}")
        parts = self.part_digests() if self.parts is None else self.parts
        lines.append(" ".join(["parts", *(f"{name}={parts[name]}" for name in _PARTS)]))
        return "\n".join(lines) + "\n"

    def sign(self, signer: Signer) -> bytes:
        """The file's bytes, signed by the log's private key (under the log's name)."""
        return sign_note(self.text(), [signer])


def cut_digests(digests: list[bytes]) -> tuple[int, bytes]:
    """A list of digests short enough to travel along: ``(width, sorted digests cut to width)``.

    8 bytes each, fewer (not below 4) where that would be more than 4 MiB, none above a million images.
    """
    width = min(8, _LIST_BYTES // max(1, len(digests)))
    if width < 4:
        return 0, b""
    return width, b"".join(digest[:width] for digest in sorted(digests))


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _object(data: bytes, place: str) -> dict[str, Any]:
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise CertificateError(f"{place}: expected JSON: {error}") from None
    if not isinstance(value, dict):
        raise CertificateError(f"{place}: expected a JSON object")
    return value


# ------------------------------------------------------------------------------------------------ reading


def read_certificate(path: str | Path) -> Certificate:
    """Read a certificate file strictly; nothing is verified yet.

    Raises:
        CertificateError: It cannot be read or is malformed; the line and the field are named.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(MAX_SIZE + 1)
    except OSError as error:
        raise CertificateError(f"{path}: cannot be read: {error.strerror}") from None
    return parse_certificate(data)


def parse_certificate(data: bytes) -> Certificate:
    """As `read_certificate`, from bytes."""
    if len(data) > MAX_SIZE:
        raise CertificateError(f"certificate: expected at most {MAX_SIZE} bytes, found {len(data)}")
    try:
        whole = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise CertificateError(f"line {line}: expected UTF-8 text, found byte {error.start}") from None
    for number, line_text in enumerate(whole.split("\n"), 1):
        if any(ord(c) < 0x20 or ord(c) == 0x7F for c in line_text):
            word = line_text.partition(" ")[0][:20]
            raise CertificateError(f"line {number} ({word}): expected no control characters")
    text, separator, signature = whole.rpartition("\n\n")
    if not separator or not signature.endswith("\n") or signature.count("\n") != 1:
        raise CertificateError(
            "end: expected an empty line, one signature line and a newline, found something else"
        )
    try:
        found = _Reader(text.split("\n")).certificate(data)
    except UnicodeEncodeError:
        raise CertificateError("certificate: expected UTF-8 text") from None
    if found.text() != text + "\n":
        raise CertificateError(f"line {_differing(found.text(), text)}: expected the canonical spelling")
    return found


def _differing(one: str, two: str) -> int:
    pairs = zip(one.split("\n"), two.split("\n"), strict=False)
    return next((number for number, (a, b) in enumerate(pairs, 1) if a != b), 0)


class _Reader:
    """The lines, taken one after the other."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self.at = 0

    def certificate(self, raw: bytes) -> Certificate:
        if self.lines[0] != HEADER:
            raise CertificateError(f"line 1: expected {HEADER!r}, found {self.lines[0][:60]!r}")
        self.at = 1
        log = self._checked("log", Verifier.parse, self.take("log"))
        rotations = tuple(self.base64("rotation", value) for value in self.many("rotation"))
        dataset, decision = self.leaf("dataset"), self.leaf("decision")
        report, policy = self.take("report").encode(), self.take("policy").encode()
        width, images = self.images()
        aside = self.base64("aside", self.take("aside", empty=True))
        if len(aside) % ASIDE_WIDTH:
            raise self.wrong("aside", f"a multiple of {ASIDE_WIDTH} bytes")
        checkpoint = self.many("checkpoint", empty=True)
        return Certificate(
            log=log,
            dataset=dataset,
            decision=decision,
            report=report,
            policy=policy,
            width=width,
            images=images,
            aside=aside,
            checkpoint="".join(f"{line}\n" for line in checkpoint).encode(),
            cosignatures=tuple(self.many("cosignature")),
            rfc3161=self.optional("rfc3161"),
            opentimestamps=self.optional("opentimestamps"),
            rotations=rotations,
            parts=self.parts(),
            raw=raw,
        )

    def wrong(self, field: str, expected: str) -> CertificateError:
        return CertificateError(f"line {self.at} ({field}): expected {expected}")

    def _peek(self, field: str) -> bool:
        return self.at < len(self.lines) and self.lines[self.at].split(" ", 1)[0] == field

    def take(self, field: str, *, empty: bool = False) -> str:
        line = self.lines[self.at] if self.at < len(self.lines) else ""
        self.at += 1
        word, _, value = line.partition(" ")
        if word != field or not (value or empty):
            raise self.wrong(field, f"`{field} …`, found {line[:40]!r}")
        return value

    def many(self, field: str, *, empty: bool = False) -> list[str]:
        found = []
        while self._peek(field):
            found.append(self.take(field, empty=empty))
        return found

    def optional(self, field: str) -> bytes:
        return self.base64(field, self.take(field)) if self._peek(field) else b""

    def _checked(self, field: str, read: Any, value: str | bytes) -> Any:
        try:
            return read(value)
        except (SignatureError, LogError) as error:
            raise CertificateError(f"line {self.at} ({field}): {error.message}") from None

    def base64(self, field: str, value: str) -> bytes:
        data: bytes = self._checked(field, lambda text: strict_base64(text, field), value)
        return data

    def leaf(self, field: str) -> Leaf:
        match = _INDEX.fullmatch(self.take(field))
        if match is None:
            raise self.wrong(field, "a leaf index and an entry")
        entry = match[2].encode()
        body = self._checked(field, decode, entry)
        if body["kind"] != field:
            raise self.wrong(field, f"an entry of kind {field}")
        name = f"{field}-proof"
        value = self.take(name, empty=True)
        hashes = tuple(self.base64(name, word) for word in (value.split(" ") if value else ()))
        if len(hashes) > 63 or any(len(value) != _HASH for value in hashes):
            raise self.wrong(name, "at most 63 hashes of 32 bytes")
        return Leaf(int(match[1]), entry, hashes)

    def images(self) -> tuple[int, bytes]:
        width, _, encoded = self.take("images").partition(" ")
        data = self.base64("images", encoded)
        if width not in ("0", "4", "5", "6", "7", "8") or len(data) % (int(width) or 1):
            raise self.wrong("images", "a width of 0 or 4 to 8 bytes and whole digests")
        return int(width), data

    def parts(self) -> dict[str, str]:
        words = self.take("parts").split(" ")
        if [word.partition("=")[0] for word in words] != list(_PARTS):
            raise self.wrong("parts", f"digests of {', '.join(_PARTS)}")
        if self.at != len(self.lines):
            raise CertificateError(f"line {self.at + 1}: expected nothing more before the signature")
        return {word.partition("=")[0]: word.partition("=")[2] for word in words}
