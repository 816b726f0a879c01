"""The surfaces that strangers' bytes reach, each as a function of bytes.

A target returns or raises a `GenepoolError`; beyond that it asserts what an accepted input must keep to: a
row that fits its columns, offsets inside the file, a canonical spelling that gives the same bytes again.
"""

from __future__ import annotations

import functools
import itertools
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import orjson

from fuzz import seeds
from fuzz.watch import Violation, scratch
from genepool import config, dataset, provenance
from genepool.dataset import FolderSource, WebDatasetSource, _sidecar
from genepool.diversity import Panel
from genepool.errors import GenepoolError, IntegrityError
from genepool.evidence import read_evidence
from genepool.provenance import (
    _bitcoin,
    _checkpoint,
    _cosignature,
    _dsse,
    _entries,
    _keyfile,
    _note,
    _proof,
    _tiles,
    _timestamp,
    _trust,
)  # fmt: skip
from genepool.records import Item, Sample
from genepool.scan import examine, load_probes, make_plan
from support import marks

__all__ = ["TARGETS"]

_LIMIT = 1 << 20
_moments = itertools.count(1_000_000_000, 1_000_000)
_REASONS = {
    "empty", "not-an-image", "unsupported", "too-many-pixels", "bomb", "truncated", "corrupt", "too-large",
}  # fmt: skip


def check(held: object, what: str) -> None:
    """An assertion that no interpreter option removes."""
    if not held:
        raise Violation(what)


# ------------------------------------------------------------------------------------------ images


@functools.cache
def _plan(models: bool):
    chosen = config.Config().with_(
        scan__max_pixels=_LIMIT,
        diversity__embedder="house" if models else "classical",
        detection__detector="house" if models else "none",
        evidence__watermarks=models,
    )
    plan = make_plan(chosen, load_probes(chosen))
    for probe in plan.probes:
        probe.prepare()
    return plan


def image(data: bytes, *, models: bool = False) -> None:
    """Bytes to a row: header, decode, digests, evidence, descriptor."""
    plan = _plan(models)
    row = examine(Sample(Item("a/b.png", "", "a/b.png"), data), plan)
    note = row.get("note") or ""
    check("failed" not in note, f"a probe of our own failed: {note}")
    if row.get("reason") is not None:
        check(row["reason"] in _REASONS, f"unknown reason {row['reason']}")
        check(row["message"], "set aside without a sentence")
        return
    check(row["width"] * row["height"] <= _LIMIT, f"{row['width']} × {row['height']} let through")
    check(len(row["pixel"]) == len(row["phash"]) == 32, "digests of another length")
    for column in ("evidence", "rights"):
        check(isinstance(json.loads(row[column]), list), f"{column} is no list")
    writable = {k: v for k, v in row.items() if isinstance(v, str)}
    for text in writable.values():
        text.encode("utf-8")


def models(data: bytes) -> None:
    """As `image`, with the embedder and the detector that ship."""
    image(data, models=True)


def evidence(data: bytes) -> None:
    """The readers of marks: the first byte says in which frame the rest is put."""
    if not data:
        return
    kind, body = data[0] % 12, data[1:]
    found = read_evidence(_framed(kind, body), {"origin": "human_made"} if data[0] >= 128 else None)
    text = orjson.dumps([item.to_json() for item in found.evidence])
    orjson.dumps([right.to_json() for right in found.rights])
    check(len(text) < 1 << 20, "a megabyte of evidence")
    check(found.c2pa in ("absent", "invalid", "untrusted"), f"c2pa {found.c2pa} without an anchor")
    hard = [item for item in found.evidence if item.hard and item.kind not in ("c2pa", "declared")]
    check(not hard, f"hard without a signature: {hard[:1]}")


def _framed(kind: int, body: bytes) -> bytes:
    frames: list[Callable[[bytes], bytes]] = [
        lambda b: b,
        lambda b: _png(marks.chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + b)),
        lambda b: _png(marks.chunk(b"tEXt", b)),
        lambda b: _png(marks.chunk(b"tEXt", b"parameters\0" + b)),
        lambda b: _png(marks.chunk(b"tEXt", b"prompt\0" + b)),
        lambda b: _png(marks.chunk(b"tEXt", b"workflow\0" + b)),
        lambda b: _png(marks.chunk(b"eXIf", b)),
        lambda b: _png(marks.chunk(b"caBX", b)),
        lambda b: marks.with_segments(_base("JPEG"), marks.segment(0xE1, b"Exif\0\0" + b[:65_000])),
        lambda b: marks.with_segments(_base("JPEG"), marks.app11(b[:65_000])),
        lambda b: marks.with_segments(
            _base("JPEG"), marks.segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + b[:65_000])
        ),
        lambda b: marks.gif_xmp(b),
    ]
    return frames[kind](body)


@functools.cache
def _base(kind: str) -> bytes:
    return marks.encode(kind)


def _png(chunk: bytes) -> bytes:
    return marks.with_chunks(_base("PNG"), chunk)


# -------------------------------------------------------------------------------------- containers


def tar(data: bytes) -> None:
    """An archive: every member that is listed lies inside it, and gives exactly one sample."""
    path = scratch() / "shard-000.tar"
    path.write_bytes(data)
    source = WebDatasetSource((str(path),), max_bytes=_LIMIT)
    aside: list = []
    items = list(source.list(aside))
    for case in aside:
        check(case.reason and case.message, f"{case.uri}: set aside without a reason")
    for item in items:
        check(0 <= item.offset <= item.offset + item.length <= len(data), f"{item.uri} lies outside")
        inner = item.uri.partition("::")[2]
        check(inner and not inner.startswith("/"), f"absolute name {item.uri!r}")
        check(".." not in inner.split("/"), f"climbing name {item.uri!r}")
        item.uri.encode("utf-8")
    samples = list(source.read(items))
    check([s.item.uri for s in samples] == [i.uri for i in items], "samples do not follow items")
    for sample in samples:
        check(
            (sample.data is None) == (sample.case is not None and not sample.data), "neither bytes nor case"
        )
        if sample.data is not None:
            check(len(sample.data) == sample.item.length, f"{sample.item.uri}: another length")
        if sample.declared is not None:
            orjson.dumps(dict(sample.declared))


def sidecar(data: bytes) -> None:
    """JSON beside an image: as one object, as lines, as a table of a Hugging Face folder."""
    try:
        value = _sidecar.loads(data)
        good, wrong = _sidecar.claims(value)
    except _sidecar.SidecarError:
        pass
    else:
        check(all(isinstance(text, str) for text in wrong), "a complaint that is no text")
        again, complaints = _sidecar.claims(json.loads(json.dumps(good)))
        check(again == good and not complaints, "what was accepted is refused the second time")
        _sidecar.flat_claims(value)
        orjson.dumps(good)
    _sidecar.caption_from_json(data)
    folder = _folder()
    name = ("genepool.jsonl", "a.genepool.json", "metadata.csv", "metadata.jsonl", "a.json", "a.txt")
    target = folder / name[len(data) % len(name)]
    target.write_bytes(data)
    try:
        aside: list = []
        opened = FolderSource(str(folder))
        items = list(opened.list(aside))
        samples = list(opened.read(items))
        check([s.item.uri for s in samples] == [i.uri for i in items], "samples do not follow items")
        check(len(samples) == 1 and samples[0].data, "a sidecar took the image away")
        if samples[0].declared is not None:
            orjson.dumps(dict(samples[0].declared))
        if target.name.startswith("metadata"):
            found = dataset.open(str(folder))
            for sample in found:
                check(sample.item.uri == "a.png", f"a table made up {sample.item.uri}")
    finally:
        target.unlink()


@functools.cache
def _folder() -> Path:
    folder = scratch() / "set"
    folder.mkdir()
    (folder / "a.png").write_bytes(marks.encode("PNG"))
    return folder


def toml(data: bytes) -> None:
    """A configuration file: refused with a sentence, or one that says the same when written out."""
    path = scratch() / ("pyproject.toml" if data[:1] == b"\n" else "genepool.toml")
    path.write_bytes(data)
    found = config.load(path)
    check(config.parse(found.to_json()) == found, "not the same after a round trip")
    orjson.dumps(found.to_json())  # the decision's record holds it


def panel(data: bytes) -> None:
    """A reference panel of somebody else: refused, or exactly the one whose digest it carries."""
    path = scratch() / "panel.npz"
    path.write_bytes(data)
    moment = next(_moments)
    os.utime(path, ns=(moment, moment))  # panels are remembered by path and time
    Panel.load(str(path))


# --------------------------------------------------------------------------------------------- log


def _bundle(data: bytes) -> None:
    width = data[0] if data else 1
    entries = _tiles.decode_bundle(data[1:], width, "bundle")
    check(_tiles.encode_bundle(entries) == data[1:], "another bundle")
    for entry in entries:
        try:
            _entries.decode(entry)
        except GenepoolError:
            continue


def _entry(data: bytes) -> None:
    body = _entries.decode(data)
    if body["kind"] in _entries.KINDS:
        check(_entries.encode({k: v for k, v in body.items() if k != "v"}) == data, "another entry")
    _entries.declared_log_key(data)
    if body["kind"] == "seal":
        _dsse.open_seal(body)


def _noted(data: bytes) -> None:
    found = _note.open_note(data, [seeds.signer().verifier])
    check(data.startswith(found.text.encode()), "another text")


def _head(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    check(_checkpoint.Checkpoint.parse(text).text() == text, "another checkpoint")


def _signed_head(data: bytes) -> None:
    _checkpoint.open_checkpoint(data, [seeds.signer().verifier])
    _cosignature.read_cosignatures(data, [_cosignature.WitnessKey.of(seeds.signer())])


def _proven(data: bytes) -> None:
    proof = _proof.Proof.parse(data)
    check(proof.encode() == data, "another proof")
    proof.verify(None, [seeds.signer().verifier])


def _certificate(data: bytes) -> None:
    certificate = provenance.parse_certificate(data)
    certificate.facts()
    certificate.settings()
    provenance.verify_certificate(certificate, verifiers=seeds.log_verifiers())


def _keys(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    for read in (
        _note.Verifier.parse,
        _note.Signer.parse,
        _cosignature.WitnessKey.parse,
        _keyfile.read_public,
    ):
        try:
            read(text)
        except GenepoolError:
            continue


def _trusted(data: bytes) -> None:
    path = scratch() / "trust.toml"
    path.write_bytes(data)
    _trust.load_trust(None, seeds.signer().verifier, path=str(path))


def _anchored(data: bytes) -> None:
    for read in (_bitcoin.ots_status, _bitcoin.BlockHeader.parse, lambda d: _timestamp._token(d)):
        try:
            read(data)
        except GenepoolError:
            continue


def _policy(data: bytes) -> None:
    path = scratch() / "policy"
    path.write_bytes(data)
    provenance.load_policy(path)


_LOG = (
    _bundle, _entry, _noted, _head, _signed_head, _proven, _certificate, _keys, _trusted, _anchored, _policy,
)  # fmt: skip


def log(data: bytes) -> None:
    """The readers of the log: the first byte says which; what one accepts has one spelling."""
    if data:
        _LOG[data[0] % len(_LOG)](data[1:])


def ledger(data: bytes) -> None:
    """One file of a log replaced: the audit notices, or the log says exactly what it said before."""
    if not data:
        return
    space, names, entries = _small()
    place = space.ledger / names[data[0] % len(names)]
    good = place.read_bytes()
    place.write_bytes(data[1:])
    try:
        opened = provenance.Ledger.open(space.ledger, verifiers=seeds.log_verifiers())
        provenance.read_log(opened)
        check(tuple(opened.entries()) == entries, "another log was accepted")
    except IntegrityError:
        pass
    finally:
        place.write_bytes(good)


@functools.cache
def _small():
    space = seeds.log_in(scratch() / "log")
    names = [str(path.relative_to(space.ledger)) for path in seeds.files_of(space)]
    opened = provenance.Ledger.open(space.ledger, verifiers=seeds.log_verifiers())
    return space, names, tuple(opened.entries())


def empty_scratch() -> None:
    """Forget what targets keep on disk (a new process needs none of it)."""
    _folder.cache_clear()
    _small.cache_clear()
    shutil.rmtree(scratch(), ignore_errors=True)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "image": image,
    "models": models,
    "evidence": evidence,
    "tar": tar,
    "sidecar": sidecar,
    "toml": toml,
    "panel": panel,
    "log": log,
    "ledger": ledger,
}
