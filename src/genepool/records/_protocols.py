"""The protocols that parts implement, and the unit of work they share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from genepool.records._decision import Failure, Measure
from genepool.records._images import Case, Header, Item, Sample
from genepool.records._origin import Evidence

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "Detector",
    "Embedder",
    "Engine",
    "EvidenceReader",
    "Facts",
    "GateRule",
    "ImageView",
    "Job",
    "PreferenceModel",
    "Probe",
    "Score",
    "Source",
    "Unit",
    "UnitResult",
]


@dataclass(frozen=True, slots=True)
class Unit:
    """The unit of work: a few hundred items of one source, small to pickle, read by one worker."""

    id: str
    items: tuple[Item, ...]
    source: Source


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

    # A view may also offer ``once(key, make)``: what ``make()`` returned when this key was first asked for on
    # this image, so that probes share work, and ``held(key)``: whether it was asked for.


@runtime_checkable
class Probe(Protocol):
    """Something that looks at each image once during the scan and writes columns of the catalogue.

    ``name`` and ``version`` enter the scan's identity: change either and images are examined again.
    ``columns`` maps column names to Arrow type names (``string``, ``float``, ``int32``, ``bool``, …);
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

    # A probe may also offer, after `prepare`, ``batch``: on how many images it would rather work together,
    # and ``foresee(views)``: compute for some images at once what `examine` will then find through
    # ``view.once``. It must change no answer; where it fails, every image is examined alone. ``remarks``:
    # sentences about how it runs, for the record of the scan.


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
    """A detector's opinion of one image: ``logit`` of p(AI), or None where it abstains, with the reason.

    A logit *with* a reason is shown but decides nothing: the detector has a number and abstains all the same,
    because its verdict would not survive a re-encoding, say.
    """

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
class PreferenceModel(Protocol):
    """A published judge of what people like. Its scores stand in a column of their own, beside people's.

    ``digest`` is the SHA-256 (hex) of everything that decides a score: weights, configuration, preprocessing.
    """

    name: str
    digest: str

    def prepare(self) -> None:
        """Load the model, once."""

    def score(self, pixels: NDArray[np.uint8], caption: str = "") -> float:
        """How much people will like an image, ``(h, w, 3)`` RGB; larger is better, NaN is an abstention."""


@runtime_checkable
class Embedder(Protocol):
    """Maps an image to a style vector."""

    name: str
    version: str
    dim: int

    def prepare(self) -> None:
        """Load the model, once per worker."""

    # An embedder may also offer ``copy_dim`` and ``embed_all(view) -> {"style": …, "copy": …}``: a second
    # vector in which copies of one picture lie together, whatever its style.

    def embed(self, view: ImageView) -> NDArray[np.float32]:
        """One vector of length ``dim``, finite."""


@runtime_checkable
class EvidenceReader(Protocol):
    """A witness of one's own: what one image's bytes, name or sidecar say about its origin.

    ``name`` names the witness (its evidence is of kind ``reader:<name>``); ``version`` enters the scan's
    identity: change it and images are read again. ``ceiling`` is the largest absolute natural-log likelihood
    ratio that any of its evidence may carry, above 0 and at most 3 (odds of 20 : 1, what a generator's own
    unsigned parameters weigh). Only evidence of AI at a weight of 3 settles an origin; anything weaker, and
    every claim of human work, moves ``p_human`` and decides nothing. A reader can never make a hard fact.
    """

    name: str
    version: str
    ceiling: float

    def prepare(self) -> None:
        """Load heavy state, once per worker. A reader is pickled before this call."""

    def read(self, view: ImageView) -> Iterable[Evidence]:
        """What is said about this image; nothing where there is nothing to say."""


class Facts(Protocol):
    """What a plug-in's rule may look at. Read only: nothing that is done to it changes the decision."""

    @property
    def uri(self) -> str:
        """The dataset."""

    @property
    def n(self) -> int:
        """How many images can be read."""

    @property
    def measures(self) -> Mapping[str, Measure]:
        """The decision's numbers by name, such as ``human_ratio``, ``generation``, ``diversity``."""

    @property
    def policy(self) -> Mapping[str, Any]:
        """The configuration as plain data."""

    def images(self, *columns: str) -> Any:
        """A ``pyarrow.Table``, one row per readable image: columns of the catalogue and of the origins.

        ``uri`` is always the first; no names = all columns. See docs/plugins.md for what there is.
        """


@runtime_checkable
class GateRule(Protocol):
    """A rule of one's own, applied after the built-in ones and beside them.

    ``code`` is two to eight capital letters other than ``GP`` and three digits (``ACME101``), ``name`` lower
    case words joined by hyphens, ``what`` one sentence for ``genepool explain``; ``why`` (text) and ``do``
    (commands) may be there too.
    """

    code: str
    name: str
    what: str

    def judge(self, facts: Facts) -> Failure | None:
        """What is wrong, ``fail`` or ``undecided``, with every image that causes it; None: it holds."""


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
    """What a finished unit reports: counts and what the probes say of how they ran; rows are on the disk."""

    id: str
    n: int
    n_aside: int
    seconds: float = 0.0
    remarks: tuple[str, ...] = ()
