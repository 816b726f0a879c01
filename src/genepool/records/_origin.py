"""Evidence, what it settles to, and what people and keys say."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

__all__ = ["Attestation", "Evidence", "Origin", "OriginClass", "Verdict"]


class OriginClass(enum.StrEnum):
    """What made an image: six classes over the IPTC digital source type terms."""

    CAPTURED = "captured"
    """A camera or scanner, edited by people at most."""
    HUMAN_MADE = "human_made"
    """Drawn, painted or composed by a person."""
    ALGORITHMIC = "algorithmic"
    """Computed without a trained model (fractals, plots); neither human nor generative."""
    MIXED = "mixed"
    """Human work with parts made by a trained model."""
    SYNTHETIC = "synthetic"
    """Made by a trained model."""
    UNKNOWN = "unknown"
    """Nothing is known."""

    @property
    def is_human(self) -> bool:
        """Whether the class counts as human-made (given evidence that the policy accepts)."""
        return self in (OriginClass.CAPTURED, OriginClass.HUMAN_MADE)

    @property
    def is_ai(self) -> bool:
        """Whether a trained model made the image or a part of it."""
        return self in (OriginClass.SYNTHETIC, OriginClass.MIXED)


Claim = Literal["ai", "human", "algorithmic", "none"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one witness says about one image's origin.

    Attributes:
        kind: The witness: ``c2pa``, ``xmp``, ``exif``, ``generator``, ``watermark``, ``archive``,
            ``attestation``, ``detector``, ``verdict``, ``declared``, ``recovered``.
        claim: What it speaks for.
        llr: Natural-log likelihood ratio for *AI* (positive) against human (negative), before the cap.
        cap: Largest absolute value that this kind of evidence may contribute.
        hard: A verified fact (valid signature, trusted chain), which takes precedence.
        origin: The class claimed, where the witness names one.
        generation: Claimed generation interval ``(lo, hi)``; hi ``None`` = unbounded.
        model: The generator named, if any.
        reference: Where it was found: container position, key id, log index.
        detail: One sentence for people.
        parents: SHA-256 (hex) of images that it names as parents.
    """

    kind: str
    claim: Claim
    llr: float
    cap: float
    hard: bool = False
    origin: str = ""
    generation: tuple[int, int | None] | None = None
    model: str = ""
    reference: str = ""
    detail: str = ""
    parents: tuple[str, ...] = ()

    @property
    def weight(self) -> float:
        """The log-likelihood ratio after the cap."""
        return max(-self.cap, min(self.cap, self.llr))

    def to_json(self) -> dict[str, Any]:
        """Only the fields that say something, in a stable order."""
        return {k: v for k, v in asdict(self).items() if v not in ("", None, False, ())}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Evidence:
        """Inverse of `to_json`; unknown keys are ignored, so that newer catalogues stay readable."""
        known = {k: v for k, v in data.items() if k in cls.__dataclass_fields__}
        if known.get("generation") is not None:
            lo, hi = known["generation"]
            known["generation"] = (int(lo), None if hi is None else int(hi))
        if "parents" in known:
            known["parents"] = tuple(map(str, known["parents"]))
        known.setdefault("llr", 0.0)
        known.setdefault("cap", 0.0)
        return cls(**known)


Tier = Literal["proven", "attested", "declared", "recovered", "inferred", "unknown"]
Status = Literal["settled", "disputed", "unknown"]


@dataclass(frozen=True, slots=True)
class Origin:
    """One image's origin, settled from all evidence, with reasons.

    Attributes:
        origin: The class.
        tier: How it is known. ``proven``: a signature with a trusted chain binds the claim to these bytes;
            ``attested``: a trusted key's entry in the log; ``declared``: unsigned metadata or sidecar;
            ``recovered``: found again by perceptual hash; ``inferred``: detector only.
        status: ``settled``, ``disputed`` (hard facts contradict each other), ``unknown``.
        human: Counts as verified human (a trusted human claim, undisputed).
        ai: Counts as verified AI.
        p_human: Posterior probability of human, in [0, 1].
        lo, hi: Generation interval; 0 = human; ``hi`` None = unbounded.
        model, artist: Where known.
        reasons: Sentences, strongest first.
    """

    origin: OriginClass
    tier: Tier
    status: Status
    human: bool
    ai: bool
    p_human: float
    lo: int
    hi: int | None
    model: str = ""
    artist: str = ""
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Attestation:
    """A key's signed claim about an image, found in a log.

    Attributes:
        origin: The class claimed (`OriginClass` value).
        key: Verifier key id (``name+hash``) of the signer.
        trusted: Whether the trust policy lets this key make this claim.
        matched_by: ``sha256`` (same bytes), ``pixel`` (same raster) or ``phash`` (looks the same).
        cohort: Name of the collection or model run that the image belongs to.
        model: Generator, for synthetic images.
        generation: Claimed interval ``(lo, hi)``; hi None = unbounded.
        artist: Named artist, if the sidecar still holds it.
        parents: SHA-256 (hex) of parent images.
        log: Origin line of the log.
        index: Leaf index in that log.
    """

    origin: str
    key: str
    trusted: bool
    matched_by: Literal["sha256", "pixel", "phash"]
    cohort: str = ""
    model: str = ""
    generation: tuple[int, int | None] | None = None
    artist: str = ""
    parents: tuple[str, ...] = ()
    log: str = ""
    index: int = -1


@dataclass(frozen=True, slots=True)
class Verdict:
    """A person's decision about one image. Programs never make one.

    Attributes:
        sha256: The image, 64 hex digits.
        answer: ``human``, ``ai`` or ``unsure``.
        reviewer: The person's name; one that begins with ``test:`` is test data, never a person.
        at: Unix seconds.
        control: The image was a seeded control: it measures the reviewer, not the image.
        comment: In the person's own words.
        session: The sitting it belongs to.
        sequence: Its place in that sitting, from 0; −1: not known.
        seconds: From the first sight of the image to the answer; None: not known.
        uncanny: The person flagged the image as uncanny.
        changed: Given after the evidence was seen: no blind verdict, and never counted as one.
        undo: Takes back this person's earlier blind verdict on the image.
        repeat: The image was shown again to measure self-agreement.
        token: The question of the queue that it answers; empty: nobody was asked.
    """

    sha256: str
    answer: Literal["human", "ai", "unsure"]
    reviewer: str
    at: float
    control: bool = False
    comment: str = ""
    session: str = ""
    sequence: int = -1
    seconds: float | None = None
    uncanny: bool = False
    changed: bool = False
    undo: bool = False
    repeat: bool = False
    token: str = ""

    @property
    def is_test(self) -> bool:
        """Whether the reviewer is marked as test data."""
        return self.reviewer.startswith("test:")
