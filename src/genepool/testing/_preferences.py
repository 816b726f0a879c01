"""The kit for preference models."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from genepool.records import PreferenceModel
from genepool.testing._kit import Check, attempt, degenerate_images, insist, no_network, picture, protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def check_preference(model: PreferenceModel) -> tuple[Check, ...]:
    """Try a preference model against every rule: pictures of odd shapes, the same one twice, flat ones.

    Args:
        model: Fresh, not yet prepared.

    Returns:
        One `Check` per rule; those that could not be tried because an earlier one failed are left out.
    """
    checks = [protocol(model, PreferenceModel, ("name", "digest", "prepare", "score"))]
    if not checks[0].ok:
        return tuple(checks)
    name, digest = str(model.name), str(model.digest)
    checks.append(Check("has a name", bool(name), repr(name)))
    sound = bool(re.fullmatch(r"[0-9a-f]{64}", digest))
    checks.append(Check("its digest is a SHA-256 of 64 lower-case hex digits", sound, digest[:64]))
    with no_network() as calls:
        started = attempt(model.prepare)
        checks.append(Check("prepare() loads the model", started is None, started or ""))
        if started is None:
            checks += _scores(model)
    return (*checks, Check("touches no network", not calls, ", ".join(calls[:3])))


def assert_preference(model: PreferenceModel) -> None:
    """Raise an AssertionError that lists every rule that the model breaks."""
    insist(check_preference(model), str(getattr(model, "name", type(model).__name__)))


def _scores(model: PreferenceModel) -> list[Check]:
    pictures = {"an ordinary picture": picture(64, 48, 1), "200 × 3 pixels": picture(3, 200, 2)}
    checks = []
    for name, pixels in {**pictures, **degenerate_images()}.items():
        given = pixels.copy()
        one, two = _score(model, given), _score(model, given)
        number: Any = one
        finite = isinstance(number, float) and not math.isinf(number)
        checks.append(Check(f"{name}: a finite number, or NaN to abstain", finite, str(one)))
        checks.append(Check(f"{name}: the same again", repr(one) == repr(two), f"{one} and {two}"))
        checks.append(Check(f"{name}: is not changed", bool((given == pixels).all())))
    return checks


def _score(model: Any, pixels: NDArray[np.uint8]) -> Any:
    try:
        return model.score(pixels, "a caption")
    except Exception as error:  # the very thing that is tested
        return f"raised {type(error).__name__}: {error}"[:200]
