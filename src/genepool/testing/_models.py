"""Kits for detectors and embedders: real pictures, through the view that the scan shows."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from genepool.records import Detector, Embedder, Score
from genepool.testing._kit import Check, degenerate_images, insist, picture, protocol, tried, view_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from genepool.records import ImageView


def check_detector(detector: Detector) -> tuple[Check, ...]:
    """Try a detector against every rule.

    Args:
        detector: Fresh, not yet prepared.

    Returns:
        One `Check` per rule; those that could not be tried because an earlier one failed are left out.
    """
    checks = [protocol(detector, Detector, ("name", "digest", "prepare", "score"))]
    if not checks[0].ok:
        return tuple(checks)
    checks.append(_identity(detector))
    return (*checks, *tried(detector, _judgements))


def _judgements(detector: Detector, copy: Any) -> list[Check]:
    first, second = picture(448, 512, 1), picture(500, 448, 2)
    alone = _score(detector, view_of(first))
    if isinstance(alone, str):
        return [Check("scores an ordinary picture", False, alone)]
    checks = [Check("scores an ordinary picture", True, _said(alone))]
    again = _score(detector, view_of(first))
    checks.append(_same("two runs agree to the bit", alone, again))
    _score(detector, view_of(second))
    after = _score(detector, view_of(first))
    checks.append(_same("what it saw before changes nothing", alone, after))
    if copy is not None:
        checks.append(_same("a pickled copy agrees to the bit", alone, _score(copy, view_of(first))))
    marked = view_of(first, trailing=b"Steps: 20, Sampler: Euler a \x00c2pa")
    checks.append(_same("judges pixels, not bytes", alone, _score(detector, marked)))
    checks += [_abstains(detector, name, pixels) for name, pixels in degenerate_images().items()]
    for name, pixels in (("noise", _noise()), ("1200 × 130 pixels", picture(130, 1200, 3))):
        score = _score(detector, view_of(pixels))
        checks.append(Check(f"{name}: a finite number or a reason", *_proper(score)))
    return checks


def _noise() -> NDArray[np.uint8]:
    import numpy as np

    return np.random.default_rng(5).integers(0, 256, (400, 400, 3), dtype=np.uint8)


def _score(detector: Any, view: ImageView) -> Score | str:
    """The score, or what went wrong in words."""
    try:
        found = detector.score(view)
    except Exception as error:  # the very thing that is tested
        return f"raised {type(error).__name__}: {error}"[:200]
    return found if isinstance(found, Score) else f"returned {type(found).__name__}, expected a Score"


def _proper(score: Score | str) -> tuple[bool, str]:
    if isinstance(score, str):
        return False, score
    if score.logit is None:
        return bool(score.reason), _said(score) if score.reason else "abstained without a reason"
    value: Any = score.logit
    number = isinstance(value, float) and math.isfinite(value)
    return number, _said(score) if number else f"logit {score.logit!r}"


def _abstains(detector: Detector, name: str, pixels: NDArray[np.uint8]) -> Check:
    score = _score(detector, view_of(pixels))
    ok, found = _proper(score)
    silent = isinstance(score, Score) and bool(score.reason)
    return Check(f"abstains from {name}", ok and silent, found)


def _same(rule: str, one: Score | str, other: Score | str) -> Check:
    if isinstance(one, str) or isinstance(other, str):
        return Check(rule, False, other if isinstance(other, str) else str(one))
    bits = [None if s.logit is None else float(s.logit).hex() for s in (one, other)]
    return Check(rule, bits[0] == bits[1], "" if bits[0] == bits[1] else f"{one.logit!r} and {other.logit!r}")


def _said(score: Score) -> str:
    return score.reason if score.logit is None else f"logit {score.logit:.4f} {score.reason}".rstrip()


def _identity(detector: Any) -> Check:
    rule = "has a name and the SHA-256 of its model as digest"
    if not isinstance(detector.name, str) or not detector.name or "@" in detector.name:
        return Check(rule, False, f"name {detector.name!r}: expected text without @")
    if not isinstance(detector.digest, str) or not re.fullmatch(r"[0-9a-f]{64}", detector.digest):
        return Check(rule, False, f"digest {detector.digest!r}: expected 64 hex digits")
    return Check(rule, True, f"{detector.name}@{detector.digest[:12]}…")


def check_embedder(embedder: Embedder) -> tuple[Check, ...]:
    """Try an embedder against every rule: one finite vector of ``dim`` numbers, the same bits every time.

    Args:
        embedder: Fresh, not yet prepared.
    """
    checks = [protocol(embedder, Embedder, ("name", "version", "dim", "prepare", "embed"))]
    if not checks[0].ok:
        return tuple(checks)
    return (*checks, *tried(embedder, _vectors))


def _vectors(embedder: Embedder, copy: Any) -> list[Check]:
    import numpy as np

    image = picture(480, 640, 1)
    alone = _embed(embedder, image)
    if isinstance(alone, str):
        return [Check("embeds an ordinary picture", False, alone)]
    checks = [Check("embeds an ordinary picture", True, f"{len(alone)} numbers")]
    _embed(embedder, picture(300, 500, 2))
    others = [("two runs agree to the bit", embedder)]
    others += [("a pickled copy agrees to the bit", copy)] if copy is not None else []
    for rule, other in others:
        found = _embed(other, image)
        same = not isinstance(found, str) and bool(np.array_equal(found, alone))
        checks.append(Check(rule, same, found if isinstance(found, str) else ""))
    for name, pixels in degenerate_images().items():
        found = _embed(embedder, pixels)
        checks.append(Check(f"a finite vector for {name}", not isinstance(found, str), str(found)[:120]))
    return checks


def _embed(embedder: Any, pixels: NDArray[np.uint8]) -> NDArray[np.float32] | str:
    import numpy as np

    try:
        found = np.asarray(embedder.embed(view_of(pixels)), np.float32)
    except Exception as error:  # the very thing that is tested
        return f"raised {type(error).__name__}: {error}"[:200]
    if found.shape != (embedder.dim,):
        return f"shape {found.shape}, expected ({embedder.dim},)"
    return found if bool(np.isfinite(found).all()) else "numbers that are not finite"


def assert_detector(detector: Detector) -> None:
    """Raise an AssertionError that lists every rule that the detector breaks."""
    insist(check_detector(detector), getattr(detector, "name", type(detector).__name__))


def assert_embedder(embedder: Embedder) -> None:
    """Raise an AssertionError that lists every rule that the embedder breaks."""
    insist(check_embedder(embedder), getattr(embedder, "name", type(embedder).__name__))
