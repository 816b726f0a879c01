"""The nouns of genepool, frozen and slotted, and the protocols that parts implement.

Nothing here imports a heavy library: these types cross process boundaries and are read by every room.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "Asset",
    "Attestation",
    "Case",
    "Decision",
    "Detector",
    "Embedder",
    "Engine",
    "Estimate",
    "Evidence",
    "Failure",
    "Header",
    "ImageView",
    "Item",
    "Job",
    "Measure",
    "Origin",
    "OriginClass",
    "Probe",
    "RatioEstimate",
    "Sample",
    "Score",
    "Source",
    "Unit",
    "UnitResult",
    "Verdict",
]


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


# --------------------------------------------------------------------------------------- numbers


class Estimate(float):
    """A number with its interval: compares like a float, carries what it is worth.

    Attributes:
        value: The point estimate (also the float itself).
        lower: Lower end of the two-sided interval, same unit.
        upper: Upper end.
        n: Number of observations behind it.
        method: How value and interval were computed, in words, with the source.
        alpha: 1 − confidence of the interval.
    """

    __slots__ = ("alpha", "lower", "method", "n", "upper", "value")

    value: float
    lower: float
    upper: float
    n: int
    method: str
    alpha: float

    def __new__(
        cls, value: float, lower: float, upper: float, n: int, method: str, alpha: float = 0.05
    ) -> Estimate:
        self = super().__new__(cls, value)
        self.value = float(value)
        self.lower = float(lower)
        self.upper = float(upper)
        self.n = int(n)
        self.method = method
        self.alpha = float(alpha)
        return self

    def __getnewargs__(self) -> tuple[Any, ...]:
        return (self.value, self.lower, self.upper, self.n, self.method, self.alpha)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self.__getnewargs__()

    def __repr__(self) -> str:
        return f"{self.value:.3f} [{self.lower:.3f}, {self.upper:.3f}] n={self.n}"

    def to_json(self) -> dict[str, Any]:
        """The number as ``{"value", "lower", "upper", "n", "method"}`` (NaN and infinities as null)."""
        return {
            "value": _finite(self.value),
            "lower": _finite(self.lower),
            "upper": _finite(self.upper),
            "n": self.n,
            "method": self.method,
        }


class RatioEstimate(float):
    """The share of human-made images. As a float it is the *guaranteed* share, the lower bound.

    Attributes:
        point: Best single guess, in [0, 1].
        lower: Guaranteed share at confidence 1 − alpha (the float itself).
        upper: Largest share that the evidence allows.
        alpha: 1 − confidence.
        n: Images in the set.
        n_audited: Images whose origin was verified or judged by a person.
        method: How the bound was computed, in words, with the source.
        assumptions: What must hold for the bound to be true.
    """

    __slots__ = ("alpha", "assumptions", "lower", "method", "n", "n_audited", "point", "upper")

    point: float
    lower: float
    upper: float
    alpha: float
    n: int
    n_audited: int
    method: str
    assumptions: tuple[str, ...]

    def __new__(
        cls,
        lower: float,
        *,
        point: float,
        upper: float,
        alpha: float,
        n: int,
        n_audited: int,
        method: str,
        assumptions: Sequence[str] = (),
    ) -> RatioEstimate:
        self = super().__new__(cls, lower)
        self.lower = float(lower)
        self.point = float(point)
        self.upper = float(upper)
        self.alpha = float(alpha)
        self.n = int(n)
        self.n_audited = int(n_audited)
        self.method = method
        self.assumptions = tuple(assumptions)
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _ratio, (
            self.lower,
            self.point,
            self.upper,
            self.alpha,
            self.n,
            self.n_audited,
            self.method,
            self.assumptions,
        )

    def __repr__(self) -> str:
        return f"≥ {self.lower:.3f} [{self.lower:.3f}, {self.upper:.3f}] n={self.n}"

    def to_json(self) -> dict[str, Any]:
        """The ratio as a measure: ``value`` is the point, ``lower`` the guaranteed share."""
        return {
            "value": _finite(self.point),
            "lower": _finite(self.lower),
            "upper": _finite(self.upper),
            "n": self.n,
            "method": self.method,
            "n_audited": self.n_audited,
            "alpha": self.alpha,
            "assumptions": list(self.assumptions),
        }


def _ratio(
    lower: float,
    point: float,
    upper: float,
    alpha: float,
    n: int,
    n_audited: int,
    method: str,
    assumptions: tuple[str, ...],
) -> RatioEstimate:
    return RatioEstimate(
        lower,
        point=point,
        upper=upper,
        alpha=alpha,
        n=n,
        n_audited=n_audited,
        method=method,
        assumptions=assumptions,
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


# ---------------------------------------------------------------------------------------- images


@dataclass(frozen=True, slots=True)
class Asset:
    """One image of a dataset.

    Attributes:
        uri: Where it lies, relative to the dataset: ``a/b.jpg``, ``shard-00.tar::b.jpg``, ``part.parquet#17``.
        sha256: SHA-256 of the file's bytes, 64 hex digits.
        pixel: SHA-256 of the normalised raster (``gpx1``), 64 hex digits.
        phash: 256-bit perceptual hash, 64 hex digits.
        width, height: Pixels, after EXIF rotation.
        format: ``JPEG``, ``PNG``, ``WEBP``, ``AVIF``, ``TIFF``, ``GIF``.
        size: Bytes.
        caption: Text that accompanies the image, if any.
    """

    uri: str
    sha256: str
    pixel: str
    phash: str
    width: int
    height: int
    format: str
    size: int
    caption: str | None = None


@dataclass(frozen=True, slots=True)
class Header:
    """What the first bytes of an image say, before any pixel is decoded.

    ``width`` and ``height`` are as stored (before EXIF rotation); ``orientation`` is the EXIF value 1 to 8.
    """

    format: str
    width: int
    height: int
    mode: str
    orientation: int = 1
    frames: int = 1


@dataclass(frozen=True, slots=True)
class Item:
    """One listed file, tar member or table row, not yet read.

    Attributes:
        uri: As in `Asset.uri`.
        stamp: Changes whenever the bytes may have changed (size, modification time, offset).
        path: The file that holds the bytes, absolute or an fsspec URL.
        offset, length: Byte range inside ``path``; −1 for the whole file.
        row: Row inside a table; −1 where there is none.
        extra: Whatever the source needs to read it again (small, picklable).
    """

    uri: str
    stamp: str
    path: str
    offset: int = -1
    length: int = -1
    row: int = -1
    extra: Any = None


@dataclass(frozen=True, slots=True)
class Case:
    """One image that failed, was set aside or is uncertain, and why.

    Attributes:
        uri: The image.
        reason: A short stable word: ``truncated``, ``empty``, ``bomb``, ``generation``, ``duplicate`` …
        message: One sentence with what was expected and found.
        code: Rule code, ``GPnnn``.
        sha256: Digest, where the bytes could be read.
    """

    uri: str
    reason: str
    message: str
    code: str = ""
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """One item as read by a worker: its bytes and what travels with them, or why it could not be read."""

    item: Item
    data: bytes | None
    caption: str | None = None
    declared: Mapping[str, Any] | None = None
    case: Case | None = None


@dataclass(frozen=True, slots=True)
class Unit:
    """The unit of work: a few hundred items of one source, small to pickle, read by one worker."""

    id: str
    items: tuple[Item, ...]
    source: Source


# ------------------------------------------------------------------------------ evidence and origin

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

    @property
    def weight(self) -> float:
        """The log-likelihood ratio after the cap."""
        return max(-self.cap, min(self.cap, self.llr))

    def to_json(self) -> dict[str, Any]:
        """Only the fields that say something, in a stable order."""
        return {k: v for k, v in asdict(self).items() if v not in ("", None, False)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Evidence:
        """Inverse of `to_json`; unknown keys are ignored, so that newer catalogues stay readable."""
        known = {k: v for k, v in data.items() if k in cls.__dataclass_fields__}
        if known.get("generation") is not None:
            lo, hi = known["generation"]
            known["generation"] = (int(lo), None if hi is None else int(hi))
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

    ``answer`` is ``human``, ``ai`` or ``unsure``; ``at`` is Unix seconds.
    """

    sha256: str
    answer: Literal["human", "ai", "unsure"]
    reviewer: str
    at: float
    control: bool = False
    comment: str = ""


# -------------------------------------------------------------------------------------- decision


@dataclass(frozen=True, slots=True)
class Measure:
    """One line of a decision: a number, its floor or ceiling, and whether it holds.

    ``ok`` is True, False, or None for undecided / not measured.
    """

    name: str
    title: str
    value: float | None
    lower: float | None
    upper: float | None
    n: int
    method: str
    bound: float | None = None
    bound_kind: Literal["floor", "ceiling", ""] = ""
    ok: bool | None = None
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """The measure with the keys that the JSON contract promises, and its bound beside them."""
        out: dict[str, Any] = {
            "value": self.value,
            "lower": self.lower,
            "upper": self.upper,
            "n": self.n,
            "method": self.method,
            "ok": self.ok,
        }
        if self.bound is not None:
            out[self.bound_kind] = self.bound
        if self.note:
            out["note"] = self.note
        return out


@dataclass(frozen=True, slots=True)
class Failure:
    """A rule that did not hold.

    ``status`` is ``fail`` or ``undecided``; ``cases`` are the images that caused it (all of them, not a sample).
    """

    code: str
    status: Literal["fail", "undecided"]
    message: str
    hint: str
    cases: tuple[Case, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """What the gate decided about a dataset. Truthy only when it passed.

    Attributes:
        status: ``pass``, ``fail`` or ``undecided`` (fail outranks undecided).
        uri, n, root: The dataset: where, how many readable images, hex Merkle root of its digests.
        measures: By name, in the order in which people read them.
        failures: Rules that did not hold, worst first.
        set_aside: Images that are not part of the decision, each with its reason.
        policy: The policy that was applied, as plain data.
        extra: Further sections (origins, generations, slices, timing), as plain data.
    """

    status: Literal["pass", "fail", "undecided"]
    uri: str
    n: int
    root: str
    measures: Mapping[str, Measure]
    failures: tuple[Failure, ...] = ()
    set_aside: tuple[Case, ...] = ()
    policy: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return self.status == "pass"

    @property
    def exit_code(self) -> int:
        """0 pass, 1 fail, 5 undecided."""
        return {"pass": 0, "fail": 1, "undecided": 5}[self.status]

    def to_json(self) -> dict[str, Any]:
        """The object promised as ``genepool.decision/1``."""
        return {
            "schema": "genepool.decision/1",
            "status": self.status,
            "dataset": {"uri": self.uri, "n": self.n, "root": self.root},
            "measures": {name: m.to_json() for name, m in self.measures.items()},
            "failures": [
                {
                    "code": f.code,
                    "status": f.status,
                    "message": f.message,
                    "hint": f.hint,
                    "cases": len(f.cases),
                }
                for f in self.failures
            ],
            "set_aside": {"n": len(self.set_aside), "cases": _count(c.reason for c in self.set_aside)},
            "policy": dict(self.policy),
            **self.extra,
        }


def _count(words: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for word in words:
        counts[word] = counts.get(word, 0) + 1
    return dict(sorted(counts.items()))


# ------------------------------------------------------------------------------------- protocols


class ImageView(Protocol):
    """One image as a probe sees it. Every property is computed at most once per image."""

    @property
    def sample(self) -> Sample:
        """The item, its caption and sidecar."""

    @property
    def data(self) -> bytes:
        """The file's bytes."""

    @property
    def header(self) -> Header:
        """What the header says."""

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """Native resolution, ``(height, width, 3)`` uint8 RGB, EXIF-rotated, alpha composited on white."""

    def thumbnail(self, short_side: int = 256) -> NDArray[np.uint8]:
        """Area-averaged RGB copy whose short side is ``short_side`` (never upscaled)."""

    def crops(self, count: int, size: int) -> list[NDArray[np.uint8]]:
        """Up to ``count`` native-scale ``size × size`` crops, highest texture first, deterministic.

        Never upscaled: an image smaller than ``size`` gives an empty list.
        """


@runtime_checkable
class Probe(Protocol):
    """Something that looks at each image once during the scan and writes columns of the catalogue.

    ``name`` and ``version`` enter the scan's identity: change either and images are examined again.
    ``columns`` maps column names to Arrow type names (``string``, ``float``, ``int32``, ``bool``, ``binary``);
    ``vectors`` maps vector names to their dimension (stored as float16 in a file beside the core columns).
    """

    name: str
    version: str
    columns: Mapping[str, str]
    vectors: Mapping[str, int]

    def prepare(self) -> None:
        """Load heavy state, once per worker. A probe is pickled before this call."""

    def examine(self, view: ImageView) -> Mapping[str, Any]:
        """Values for every declared column and vector (a vector: 1-D float array)."""


@runtime_checkable
class Source(Protocol):
    """Where images come from. Small and picklable: units carry it to the workers."""

    kind: str
    uri: str

    def list(self, aside: list[Case]) -> Iterator[Item]:
        """All items in a stable order, without reading image bytes; what is refused goes to ``aside``."""

    def read(self, items: Sequence[Item]) -> Iterator[Sample]:
        """The bytes of these items (neighbours in one container), in order. Never raises for one bad item."""


@dataclass(frozen=True, slots=True)
class Score:
    """A detector's opinion of one image: ``logit`` of p(AI), or None where it abstains, with the reason."""

    logit: float | None
    reason: str = ""


@runtime_checkable
class Detector(Protocol):
    """A judge of pixels only. Uncalibrated detectors have no vote."""

    name: str
    digest: str

    def prepare(self) -> None:
        """Load the model, once per worker."""

    def score(self, view: ImageView) -> Score:
        """The opinion on one image."""


@runtime_checkable
class Embedder(Protocol):
    """Maps an image to a style vector."""

    name: str
    version: str
    dim: int

    def prepare(self) -> None:
        """Load the model, once per worker."""

    def embed(self, view: ImageView) -> NDArray[np.float32]:
        """One vector of length ``dim``, finite."""


@runtime_checkable
class Engine(Protocol):
    """How units are run."""

    name: str

    def run(self, job: Job, units: Iterable[Unit]) -> Iterator[UnitResult]:
        """Run ``job`` on every unit, in any order, retrying and isolating units that kill their worker."""


class Job(Protocol):
    """A picklable unit function with a one-time set-up per worker."""

    def prepare(self) -> None:
        """Called once per worker before the first unit."""

    def __call__(self, unit: Unit) -> UnitResult:
        """Process one unit completely and durably."""

    def quarantine(self, unit: Unit, reason: str) -> UnitResult:
        """Record, in the parent, a one-item unit that killed or stalled its worker."""


@dataclass(frozen=True, slots=True)
class UnitResult:
    """What a finished unit reports: counts only, the rows are already on disk."""

    id: str
    n: int
    n_aside: int
    seconds: float = 0.0
