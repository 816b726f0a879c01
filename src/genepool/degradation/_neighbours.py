"""Coverage and density at a matched number of pictures, and the Fréchet distance less what sampling gives.

Coverage and density change with the number of pictures, so every set is measured in blocks of the same size
and the blocks are averaged. The Fréchet distance takes all pictures; its bias is known and taken off.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from genepool.records import Estimate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["closeness", "distance"]

_BLOCKS = 10


def closeness(
    yardstick: NDArray[np.float64], points: NDArray[np.float64], size: int, alpha: float
) -> tuple[Estimate, Estimate]:
    """Coverage and density (Naeem et al. 2020), as `genepool.diversity.neighbourhood` has them.

    Args:
        yardstick: ``(a, d)`` whitened reference.
        points: ``(n, d)`` whitened generation, n ≥ ``size``.
        size: Pictures per block; at most ten blocks.
        alpha: 1 − confidence.

    Raises:
        MeasureError: Fewer than 7 pictures on a side.
    """
    from genepool.diversity import neighbourhood

    count = max(1, min(_BLOCKS, len(points) // size))
    blocks = [neighbourhood(points[i * size : (i + 1) * size], yardstick, alpha=alpha) for i in range(count)]
    coverage = [one.coverage for one in blocks]
    share = sum(c.value for c in coverage) / count
    # The blocks share the reference: its part of the variance does not shrink with their number.
    common = share * (1.0 - share) / len(yardstick)
    return (
        _mean(coverage, common, 1.0, size, alpha),
        # How much of a density's variance is the reference's is not told: none of it is taken to shrink.
        _mean([one.density for one in blocks], math.inf, math.inf, size, alpha),
    )


def _mean(parts: list[Estimate], common: float, top: float, size: int, alpha: float) -> Estimate:
    from scipy.special import ndtri

    from genepool.degradation._fit import standard_error

    z = float(ndtri(1 - alpha / 2))
    value = sum(p.value for p in parts) / len(parts)
    # Ends clipped at 0 or at the top are no measure of the error: the longer side is.
    errors = [max(standard_error(p), (p.upper - p.value) / z, (p.value - p.lower) / z) for p in parts]
    variance = sum(e**2 for e in errors) / len(errors)
    shared = min(common, variance)
    reach = z * math.sqrt(shared + (variance - shared) / len(parts))
    method = f"{parts[0].method}; mean of {len(parts)} block(s) of {size}"
    lower, upper = max(0.0, value - reach), min(top, value + reach)
    return Estimate(value, lower, upper, len(parts) * size, method, alpha)


def distance(yardstick: NDArray[np.float64], points: NDArray[np.float64], alpha: float) -> Estimate:
    """Fréchet distance in the reference's directions, less what two samples of one Gaussian would read.

    Raises:
        MeasureError: Fewer than 32 pictures on a side.
    """
    from genepool.diversity import frechet_distance

    found = frechet_distance(points, yardstick, alpha=alpha)
    value, lower, upper = (max(0.0, x - found.floor) for x in (found.value, found.lower, found.upper))
    method = f"{found.method}; the floor of {found.floor:.3g} is taken off"
    return Estimate(value, lower, upper, found.n, method, alpha)
