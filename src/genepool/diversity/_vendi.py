"""The Vendi score by way of the d × d second-moment matrix: streaming, weighted, with an interval."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from genepool.diversity._batches import aligned, batches, column
from genepool.errors import MeasureError
from genepool.records import Estimate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

__all__ = ["VendiEstimate", "VendiState", "entropy", "vendi_score"]

BLOCKS = 32
REPLICATES = 100
SECOND_PASS = 4096
_SINGLE = 512  # rows of a batch from which on single precision serves order 2


class VendiEstimate(Estimate):
    """A Vendi score.

    Attributes:
        plug_in: The ordinary score of the sample at the same order, as the ``vendi-score`` package has it.
        q: The order.
    """

    __slots__ = ("plug_in", "q")

    plug_in: float
    q: float

    @classmethod
    def build(
        cls, base: tuple[float, float, float, int, str, float], plug_in: float, q: float
    ) -> VendiEstimate:
        """From the arguments of `Estimate`, the ordinary score and the order."""
        self = cls(*base)
        self.plug_in = float(plug_in)
        self.q = float(q)
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return VendiEstimate.build, (self.__getnewargs__(), self.plug_in, self.q)


def entropy(shares: NDArray[np.float64], q: float) -> float:
    """Rényi entropy of order q of shares that sum to 1, in nats; its exponential is a Hill number.

    Args:
        shares: Not negative; zeros count for nothing.
        q: Order, 0 ≤ q ≤ ∞.

    Raises:
        MeasureError: A negative order or NaN.
    """
    if not q >= 0:
        raise MeasureError(f"order: expected q ≥ 0, found {q}")
    p = shares[shares > 0]
    if q == 1:
        return float(-(p * np.log(p)).sum())
    if math.isinf(q):
        return float(-np.log(p.max()))
    return float(np.log((p**q).sum()) / (1.0 - q))


class VendiState:
    """The mergeable state of a Vendi score with the linear kernel on unit vectors: Σ w x xᵀ and two sums."""

    def __init__(self, dim: int) -> None:
        self.n = 0
        self.weight = 0.0
        self.squares = 0.0
        self.moment: NDArray[np.float64] = np.zeros((dim, dim))

    def update(self, features: NDArray[Any], weights: NDArray[np.float64] | None = None) -> None:
        """Add ``(k, d)`` features (scaled to unit length here) with weights, 1 where None.

        Raises:
            MeasureError: NaN, a zero vector, another width.
        """
        self._add(_unit(features, len(self.moment)), weights)

    def update_fast(self, features: NDArray[Any], weights: NDArray[np.float64] | None = None) -> None:
        """The same with products of large batches in single precision, sums in double: for order 2 only.

        Rounding is about 1e-9 of the score of order 2. Other orders need `update`: they count directions that
        the data do not have, where rounding of single precision would stand.

        Raises:
            MeasureError: NaN, a zero vector, another width.
        """
        single = len(features) >= _SINGLE
        self._add(_unit(features, len(self.moment), np.float32 if single else np.float64), weights)

    def _add(self, unit: NDArray[Any], weights: NDArray[np.float64] | None) -> None:
        weight = np.ones(len(unit)) if weights is None else np.asarray(weights, np.float64)
        total = math.fsum(weight)
        self.n += len(unit)
        self.weight += total
        self.squares += math.fsum(weight**2)
        scaled = unit if weights is None else unit * np.sqrt(weight).astype(unit.dtype)[:, None]
        gram = _gram(scaled)
        if gram.dtype == np.float64:
            self.moment += gram
        elif (trace := float(gram.trace(dtype=np.float64))) > 0:
            # The trace of unit rows is their weight: what rounding added to all of them alike goes out again.
            self.moment += gram * np.float64(total / trace)

    def merge(self, other: VendiState) -> VendiState:
        """Add another part's state to this one and return it.

        Raises:
            MeasureError: The widths differ.
        """
        if self.moment.shape != other.moment.shape:
            raise MeasureError(f"Vendi: widths {len(self.moment)} and {len(other.moment)} cannot be merged")
        self.n += other.n
        self.weight += other.weight
        self.squares += other.squares
        self.moment += other.moment
        return self

    def spectrum(self) -> NDArray[np.float64]:
        """Eigenvalues of the normalised kernel matrix (those that are not zero), summing to 1."""
        values: NDArray[np.float64] = np.clip(np.linalg.eigvalsh(self.moment / self.weight), 0.0, None)
        return values

    def plug_in(self, q: float) -> float:
        """The ordinary score of order q.

        Rounding leaves about 1e-17 in directions that the data do not have. Orders below 1 would count those
        as kinds, so what is below rounding is set to nothing first.
        """
        if q == 2:
            # Not below one kind, which rounding could say of copies.
            return max(1.0, self.weight**2 / float(np.einsum("ij,ij->", self.moment, self.moment)))
        values = self.spectrum()
        return math.exp(entropy(np.where(values > 1e-14 * len(values), values, 0.0), q))

    def purity(self) -> float:
        """Mean squared similarity of two different rows, unbiased.

        Raises:
            MeasureError: Fewer than two rows with weight.
        """
        pairs = self.weight**2 - self.squares
        if self.n < 2 or pairs <= 1e-12 * self.weight**2:
            raise MeasureError(f"Vendi: expected at least two rows with weight, found {self.n}")
        return float((np.einsum("ij,ij->", self.moment, self.moment) - self.squares) / pairs)


def _unit(
    features: NDArray[Any], dim: int, kind: type[np.float32] | type[np.float64] = np.float64
) -> NDArray[Any]:
    if features.ndim != 2 or features.shape[1] != dim:
        raise MeasureError(f"features: expected shape (n, {dim}), found {features.shape}")
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        x: NDArray[Any] = np.array(features, kind)
        square = np.einsum("nd,nd->n", x, x)
    if kind is np.float32 and not ((square > 1e-24) & (square < 1e24)).all():
        # Too long or too short for the squares of single precision, or wrong: double precision tells.
        return _unit(features, dim).astype(np.float32)
    length: NDArray[Any] = np.sqrt(square)
    bad = ~(np.isfinite(length) & (length > 0))
    if bad.any():
        raise MeasureError(
            f"features: {int(bad.sum())} of {len(x)} rows hold NaN, infinity or only zeros, "
            f"first row {int(bad.argmax())}",
            hint="leave those rows out, with a reason",
        )
    x /= length[:, None]
    return x


def _gram(x: NDArray[Any]) -> NDArray[Any]:
    product: NDArray[Any] = x.T @ x
    return product


def vendi_score(
    features: Any, q: float = 2.0, weights: Any = None, *, alpha: float = 0.05, seed: int = 0
) -> VendiEstimate:
    """The Vendi score: the effective number of different images (Friedman & Dieng 2023), cosine kernel.

    Args:
        features: ``(n, d)``, scaled to unit length here: an array, a list of batches, or a function that
            returns an iterator over batches. O(n d²) time, O(d²) memory beside the features.
        q: Order. At 2 the estimate is unbiased in the purity (a U-statistic) with an analytic interval; at
            other orders it is the ordinary score, which grows with n, with a block bootstrap interval.
        weights: ``(n,)`` multiplicities, not negative; None: all 1.
        alpha: 1 − confidence.
        seed: Of the bootstrap.

    Raises:
        MeasureError: NaN, fewer than two rows, lengths that differ, a one-shot iterator, q < 0.
    """
    if not (q >= 0 and 0 < alpha < 1):
        raise MeasureError(f"Vendi: expected q ≥ 0 and 0 < alpha < 1, found {q} and {alpha}")
    start, weight = batches(features), column(weights, "weights", float)
    first = next(start(), None)
    if first is None:
        raise MeasureError("Vendi: expected at least two rows, found none")
    if q == 2:
        return _unbiased(start, first.shape[1], weight, alpha)
    return _bootstrapped(start, first.shape[1], weight, float(q), alpha, seed)


def _unbiased(
    start: Callable[[], Iterator[NDArray[Any]]], dim: int, weight: NDArray[Any] | None, alpha: float
) -> VendiEstimate:
    from scipy.special import stdtrit

    state = VendiState(dim)
    for part, (w,) in aligned(start(), weight):
        state.update_fast(part, w)
    # A few thousand rows at even distances settle the standard error to about one percent.
    purity = min(max(state.purity(), 1e-300), 1.0)
    stride = -(-state.n // SECOND_PASS)
    at, squares, total = 0, 0.0, 0.0
    moment = state.moment if state.n < _SINGLE else state.moment.astype(np.float32)
    for part, (w,) in aligned(start(), weight):
        chosen = slice(-at % stride, None, stride)
        at += len(part)
        unit = _unit(part[chosen], dim, moment.dtype.type)
        own = np.ones(len(unit)) if w is None else w[chosen]
        alike = np.einsum("ni,ni->n", unit @ moment, unit).astype(np.float64)
        others = (alike - own) / np.maximum(state.weight - own, 1e-300)
        squares += float((own**2).sum())
        total += float((own**2 * (others - purity) ** 2).sum())
    error = 2.0 * math.sqrt(total * state.squares / max(squares, 1e-300)) / state.weight / purity
    effective = state.weight**2 / state.squares
    reach = float(stdtrit(max(1.0, effective - 1.0), 1.0 - alpha / 2.0)) * error
    value = 1.0 / purity
    method = "order-2 Vendi score, unbiased purity over pairs; U-statistic interval on the logarithm"
    base = (
        value,
        value * math.exp(-min(reach, 700.0)),
        value * math.exp(min(reach, 700.0)),
        state.n,
        method,
        alpha,
    )
    return VendiEstimate.build(base, state.plug_in(2.0), 2.0)


def _bootstrapped(
    start: Callable[[], Iterator[NDArray[Any]]],
    dim: int,
    weight: NDArray[Any] | None,
    q: float,
    alpha: float,
    seed: int,
) -> VendiEstimate:
    from scipy.special import ndtri

    blocks = [VendiState(dim) for _ in range(BLOCKS)]
    at = 0
    for part, (w,) in aligned(start(), weight):
        for k in range(BLOCKS):
            chosen = slice((k - at) % BLOCKS, None, BLOCKS)
            if len(part[chosen]):
                blocks[k].update(part[chosen], None if w is None else w[chosen])
        at += len(part)
    blocks = [b for b in blocks if b.weight > 0]
    whole = VendiState(dim)
    for block in blocks:
        whole.merge(block)
    whole.purity()  # refuses fewer than two rows
    rng = np.random.default_rng(seed)
    logs = []
    for _ in range(REPLICATES):
        times = np.bincount(rng.integers(len(blocks), size=len(blocks)), minlength=len(blocks))
        moment = sum((t * b.moment for t, b in zip(times, blocks, strict=True) if t), np.zeros((dim, dim)))
        values = np.linalg.eigvalsh(moment / np.trace(moment))
        logs.append(entropy(np.where(values > 1e-14 * dim, values, 0.0), q))
    value = whole.plug_in(q)
    reach = float(ndtri(1.0 - alpha / 2.0)) * float(np.std(logs, ddof=1))
    method = (
        f"order-{q:g} Vendi score; interval from {REPLICATES} bootstrap replicates of {len(blocks)} blocks"
    )
    return VendiEstimate.build(
        (value, value * math.exp(-reach), value * math.exp(reach), whole.n, method, alpha), value, q
    )
