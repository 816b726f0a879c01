"""What each kind of mark is worth, in one place.

Natural-log likelihood ratios for *AI* (positive) against human (negative). They are judgements, not
measurements: a mark is worth what it costs to forge. Somebody who wants to pass an AI picture off as human
forges human marks, so unsigned human marks weigh next to nothing; hardly anybody forges marks towards AI, so
unsigned AI marks weigh +3 (odds 20 : 1). A signature with a chain that the user trusts is a verified fact
(``hard``). Absence of every mark is worth 0: the web strips metadata.

A trusted signature over "a person drew this" is no hardware capture but a person's statement made
through software; it gets the weight of one careful human look (2), not that of a camera (5).
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from genepool.records import Evidence, OriginClass

Claim = Literal["ai", "human", "algorithmic", "none"]


class Weight(NamedTuple):
    """A log-likelihood ratio for AI, the cap of its kind, and whether it is a verified fact."""

    llr: float
    cap: float
    hard: bool = False


TRUSTED_AI = Weight(6.0, 6.0, hard=True)
"""C2PA, trusted chain, asset hash bound, names an AI digital source type."""
UNTRUSTED_AI = Weight(3.0, 3.0)
"""The same with an unknown signer, or with a credential that has expired: as good as unsigned metadata."""
TRUSTED_CAPTURE = Weight(-5.0, 5.0, hard=True)
"""C2PA, trusted chain, ``digitalCapture`` and its kin."""
TRUSTED_HUMAN = Weight(-2.0, 2.0)
"""C2PA, trusted chain, any other human term."""
UNTRUSTED_HUMAN = Weight(-0.5, 0.5)
"""C2PA human term with an unknown signer: anybody can make one."""
GENERATOR = Weight(3.0, 3.0)
"""A generator's own parameters in a legal place of the container."""
XMP_AI = Weight(3.0, 3.0)
"""An unsigned XMP digital source type, or an IPTC 2025.1 AI field."""
XMP_HUMAN = Weight(-0.5, 0.5)
CAMERA = Weight(-0.5, 0.5)
"""Camera EXIF: trivially forged."""
ARCHIVE = Weight(-4.0, 4.0)
"""A date before 2021 from a source that the configuration trusts."""
DECLARED_AI = Weight(3.0, 3.0)
DECLARED_HUMAN = Weight(-0.5, 0.5)
"""An unsigned sidecar."""
NOTHING = Weight(0.0, 0.0)

CAPTURE_TERMS = frozenset({"digitalCapture", "computationalCapture", "compositeCapture"})
"""Terms by which a camera speaks. Print and film name the medium, which an AI picture can pass through."""


def claim_of(origin: OriginClass) -> Claim:
    """The side that an origin class speaks for."""
    if origin.is_ai:
        return "ai"
    if origin.is_human:
        return "human"
    return "algorithmic" if origin is OriginClass.ALGORITHMIC else "none"


def witness(kind: str, claim: Claim, weight: Weight, **fields: Any) -> Evidence:
    """One `Evidence` with a weight of this table."""
    return Evidence(kind=kind, claim=claim, llr=weight.llr, cap=weight.cap, hard=weight.hard, **fields)


def note(kind: str, detail: str, reference: str = "") -> Evidence:
    """Something worth telling that speaks for nobody."""
    return witness(kind, "none", NOTHING, reference=reference, detail=clean(detail, 300))


def clean(text: object, limit: int = 200) -> str:
    """Text from a file made fit for a catalogue: valid UTF-8, printable, at most ``limit`` characters."""
    if not isinstance(text, (str, int, float)) or isinstance(text, bool):
        return ""
    whole = str(text)[: 4 * limit].encode("utf-8", "replace").decode("utf-8")
    whole = " ".join("".join(c if c.isprintable() else " " for c in whole).split())
    return whole if len(whole) <= limit else whole[: limit - 1] + "…"
