"""Everything that one file and its sidecar entry say about origin and rights."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from genepool.evidence import _archive, _exif, _generators, _xmp
from genepool.evidence._c2pa import load_anchors, read_store
from genepool.evidence._containers import Marks, walk
from genepool.evidence._manifest import State
from genepool.evidence._rights import Right
from genepool.evidence._weights import clean, note
from genepool.records import Evidence


@dataclass(frozen=True, slots=True)
class Findings:
    """What was read from one image.

    Attributes:
        evidence: Claims for and against AI, and notes (claim ``none``) on marks that are damaged or mute.
        c2pa: ``valid`` (trusted chain), ``untrusted`` (verifies, unknown signer), ``invalid`` or ``absent``.
        rights: The owner's training and data-mining signals.
        fields: Plain facts of EXIF and XMP, by name: ``make``, ``model``, ``software``, ``artist``,
            ``copyright``, ``created`` (unsigned, as written).
        container: The file's format as its structure shows it; empty when unknown.
    """

    evidence: tuple[Evidence, ...] = ()
    c2pa: State = "absent"
    rights: tuple[Right, ...] = ()
    fields: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    container: str = ""

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences of evidence that speaks for nobody."""
        return tuple(item.detail for item in self.evidence if item.claim == "none" and item.detail)


def read_evidence(
    data: bytes,
    declared: Mapping[str, Any] | None = None,
    *,
    trust_anchors: Iterable[str | os.PathLike[str]] = (),
    archives: Collection[str] = (),
) -> Findings:
    """Read every mark of one image. Never touches the network, never raises for a bad image.

    Args:
        data: The file's bytes.
        declared: Its sidecar entry (``origin``, ``source``, ``created``, ``generation``, ``model`` are read).
        trust_anchors: PEM files of C2PA certificate authorities that are trusted.
        archives: Values of ``source`` whose dates before 2021 prove human work.

    Returns:
        The findings; an image without any mark gives empty ones.

    Raises:
        ConfigError: A file of ``trust_anchors`` cannot be read or holds no certificate.
    """
    return examine(data, declared, anchors=load_anchors(trust_anchors), archives=archives)


def examine(
    data: bytes, declared: Mapping[str, Any] | None, *, anchors: str, archives: Collection[str]
) -> Findings:
    """As `read_evidence`, with the anchors already loaded (PEM text)."""
    marks = walk(data)
    if marks.empty and not declared:
        return Findings(container=marks.container)
    evidence: list[Evidence] = [note("container", text) for text in marks.notes[:8]]
    rights: list[Right] = []
    fields: dict[str, str] = {}
    exif = _read_exif(marks, evidence)
    pointer = _read_xmp(marks, evidence, rights, fields)
    state: State = "absent"
    if marks.store:
        reading = read_store(data, marks.mime, marks.store, anchors)
        state = reading.state
        evidence.extend(reading.evidence)
        rights.extend(reading.rights)
    elif pointer:
        evidence.append(
            note("c2pa", f"remote manifest not fetched: {clean(pointer, 200)}", "XMP dcterms:provenance")
        )
    if exif is not None:
        _camera(exif, evidence, fields)
    if marks.texts or exif is not None:
        evidence.extend(_generators.testify(marks.texts, exif))
    if declared:
        evidence.extend(_declared(declared, archives))
    return Findings(tuple(evidence), state, tuple(dict.fromkeys(rights)), fields, marks.container)


def _read_exif(marks: Marks, evidence: list[Evidence]) -> _exif.Exif | None:
    if marks.exif is None:
        return None
    try:
        return _exif.read_exif(marks.exif)
    except ValueError as error:
        evidence.append(note("exif", f"EXIF is broken and ignored: {clean(str(error), 120)}", "EXIF"))
        return None


def _read_xmp(marks: Marks, evidence: list[Evidence], rights: list[Right], fields: dict[str, str]) -> str:
    """Read all packets; returns the address of a remote C2PA manifest, if one is named."""
    pointer = ""
    for packet in marks.xmp:
        try:
            xmp = _xmp.read_xmp(packet)
        except ValueError as error:
            evidence.append(note("xmp", f"XMP is broken and ignored: {clean(str(error), 160)}", "XMP"))
            continue
        evidence.extend(_xmp.testify(xmp))
        rights.extend(_xmp.rights(xmp))
        pointer = pointer or xmp.provenance
        _keep(fields, software=xmp.tool, artist=xmp.artist, copyright=xmp.copyright)
        _keep(fields, created=xmp.date_created or xmp.created)
    return pointer


def _camera(exif: _exif.Exif, evidence: list[Evidence], fields: dict[str, str]) -> None:
    _keep(fields, make=exif.make, model=exif.model, lens=exif.lens, software=exif.software)
    _keep(fields, artist=exif.artist, copyright=exif.copyright, created=exif.created)
    claim = _exif.camera(exif)
    if claim is not None:
        evidence.append(claim)


def _keep(fields: dict[str, str], **found: str) -> None:
    for name, value in found.items():
        text = clean(value, 300)
        if text:
            fields.setdefault(name, text)


def _declared(declared: Mapping[str, Any], archives: Collection[str]) -> list[Evidence]:
    try:
        return _archive.testify(declared, archives)
    except (ValueError, RecursionError) as error:
        return [note("declared", f"the sidecar entry cannot be read: {clean(str(error), 120)}", "sidecar")]
