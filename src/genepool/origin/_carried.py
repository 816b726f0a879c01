"""Whether an image carries provenance: the question at the door, before it is part of any set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from genepool.errors import UsageError

if TYPE_CHECKING:
    from genepool.config import Config
    from genepool.evidence import Findings
    from genepool.provenance import Lookup
    from genepool.records import Sample

__all__ = ["Carried", "carried"]

# Marks by which somebody says what made an image. A camera's EXIF is no statement, and anybody can write it.
_STATED = frozenset({"c2pa", "xmp", "generator", "declared", "archive"})


@dataclass(frozen=True, slots=True)
class Carried:
    """What one file brings along.

    Attributes:
        path: The file, as given.
        ok: Whether that is enough.
        how: ``log``, ``c2pa``, ``metadata``, ``sidecar``, or empty where there is nothing.
        detail: One sentence: what it says, or what is missing.
    """

    path: str
    ok: bool
    how: str
    detail: str


def carried(
    paths: Sequence[str | Path],
    root: str | Path,
    *,
    logs: Iterable[Lookup] = (),
    require: Literal["declared", "attested"] = "declared",
    config: Config | None = None,
) -> list[Carried]:
    """Look at files one by one, in milliseconds each: nothing is decoded, nothing is scanned.

    Args:
        paths: Image files below ``root``.
        root: Where sidecars are looked for, down to each file.
        logs: Logs in which a file may be registered, by its bytes.
        require: ``declared``: anything that says what made it (a log entry, C2PA, XMP or IPTC source type, a
            generator's parameters, a sidecar with ``origin``). ``attested``: only a trusted key's log entry,
            or C2PA with a trusted signer.
        config: C2PA trust anchors and archives that are believed.

    Raises:
        UsageError: A file is not below ``root``.
    """
    from genepool.config import load
    from genepool.dataset import read_files
    from genepool.evidence import read_evidence

    settings = (config or load()).evidence
    base = Path(root).absolute()
    files = [Path(path) for path in paths]
    for file in files:
        if not file.absolute().is_relative_to(base):
            raise UsageError(f"{file}: expected a file below {base}")
    indexes = list(logs)
    found = []
    for path, sample in zip(paths, read_files(files, base), strict=True):
        if sample.data is None:
            why = sample.case.message if sample.case else "it cannot be read"
            found.append(Carried(str(path), False, "", why))
            continue
        marks = read_evidence(
            sample.data, sample.declared, trust_anchors=settings.trust_anchors, archives=settings.archives
        )
        found.append(_judge(str(path), sample, marks, indexes, require))
    return found


def _judge(path: str, sample: Sample, marks: Findings, logs: list[Lookup], require: str) -> Carried:
    if marks.c2pa == "invalid":
        return Carried(path, False, "c2pa", "its C2PA manifest does not verify: changed after signing")
    digest = sha256(sample.data or b"").digest()
    for log in logs:
        for entry in log.find(digest, None, None):
            # What a check concluded is nobody's claim.
            counts = entry.role == "attest" and not entry.withdrawn and entry.origin != "unknown"
            if counts and (entry.trusted or require != "attested"):
                return Carried(path, True, "log", f"registered as {entry.origin} by {entry.key}")
    stated = [e for e in marks.evidence if e.kind in _STATED and e.claim != "none"]
    if require == "attested":
        stated = [e for e in stated if e.hard or (e.kind == "c2pa" and marks.c2pa == "valid")]
    if stated:
        best: Any = max(stated, key=lambda e: (e.hard, abs(e.weight)))
        how = {"c2pa": "c2pa", "declared": "sidecar", "archive": "sidecar"}.get(best.kind, "metadata")
        return Carried(path, True, how, best.detail or f"says {best.origin or best.claim}")
    if require == "attested" and marks.evidence:
        return Carried(
            path, False, "", "what it says about its origin is not signed by anybody who is trusted"
        )
    return Carried(path, False, "", "nothing says what made it")
