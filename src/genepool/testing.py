"""What every detector and embedder must keep to: a kit for the tests of plug-in authors, and of our own.

``assert_detector(MyDetector("weights.onnx"))`` in a test, or ``genepool plugins check-detector NAME``. Each
check shows the plug-in real images through the view that the scan shows, and says in one sentence what it
found.
"""

from __future__ import annotations

import contextlib
import functools
import io
import math
import pickle
import re
import socket
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from genepool.records import Detector, Embedder, Item, Sample, Score

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from genepool.records import ImageView

__all__ = [
    "Check",
    "assert_detector",
    "assert_embedder",
    "check_detector",
    "check_embedder",
    "degenerate_images",
    "picture",
    "view_of",
]


class Check(NamedTuple):
    """One rule, whether it was kept, and what was found."""

    rule: str
    ok: bool
    found: str = ""


def view_of(pixels: NDArray[np.uint8], *, trailing: bytes = b"") -> ImageView:
    """Pixels ``(height, width, 3)`` uint8 RGB as the scan shows them: a PNG, read by the scan's reader.

    Args:
        pixels: The image.
        trailing: Bytes appended to the file, which a judge of pixels must not see.
    """
    from PIL import Image

    from genepool.scan import View

    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", compress_level=1)
    return View(Sample(Item("kit.png", "", "kit.png"), out.getvalue() + trailing), max_pixels=100_000_000)


def picture(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """A textured picture, ``(height, width, 3)`` uint8: smooth shapes with noise, one per seed."""
    import numpy as np

    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / 37.0
    waves = [np.sin(x * rng.uniform(0.3, 2) + y * rng.uniform(0.3, 2) + rng.uniform(0, 6)) for _ in range(3)]
    noise = rng.normal(0, 12, (height, width, 3))
    return np.clip(128 + 70 * np.stack(waves, -1) + noise, 0, 255).astype(np.uint8)


@functools.cache
def degenerate_images() -> dict[str, NDArray[np.uint8]]:
    """Images about which nobody can know anything, by name: strips, single pixels, flat colours."""
    import numpy as np

    found = {
        "one pixel": picture(1, 1),
        "a strip one pixel high": picture(1, 700),
        "a strip one pixel wide": picture(700, 1),
        "12 × 12 pixels": picture(12, 12),
        "a band of 9 × 2000 pixels": picture(9, 2000),
    }
    for name, colour in (("black", 0), ("white", 255), ("grey", 127)):
        found[f"solid {name}"] = np.full((448, 448, 3), colour, np.uint8)
    found["a flat screenshot"] = np.full((448, 600, 3), (246, 248, 250), np.uint8)
    return found


# ------------------------------------------------------------------------------- detectors


def check_detector(detector: Detector) -> tuple[Check, ...]:
    """Try a detector against every rule.

    Args:
        detector: Fresh, not yet prepared.

    Returns:
        One `Check` per rule; those that could not be tried because an earlier one failed are left out.
    """
    checks = [_protocol(detector, Detector, ("name", "digest", "prepare", "score"))]
    if not checks[0].ok:
        return tuple(checks)
    checks.append(_identity(detector))
    return (*checks, *_tried(detector, _judgements))


def _tried(part: Any, judge: Callable[[Any, Any], list[Check]]) -> list[Check]:
    """Pickled, prepared and judged behind a closed network."""
    copy, pickled = _pickled(part)
    checks = [pickled]
    with _no_network() as calls:
        started = _try(part.prepare)
        checks.append(Check("prepare() loads the model", started is None, started or ""))
        if started is None:
            checks += judge(part, copy)
    return [*checks, Check("touches no network", not calls, ", ".join(calls[:3]))]


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


# ------------------------------------------------------------------------------- embedders


def check_embedder(embedder: Embedder) -> tuple[Check, ...]:
    """Try an embedder against every rule: one finite vector of ``dim`` numbers, the same bits every time.

    Args:
        embedder: Fresh, not yet prepared.
    """
    checks = [_protocol(embedder, Embedder, ("name", "version", "dim", "prepare", "embed"))]
    if not checks[0].ok:
        return tuple(checks)
    return (*checks, *_tried(embedder, _vectors))


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


# ------------------------------------------------------------------------------- shared


def assert_detector(detector: Detector) -> None:
    """Raise an AssertionError that lists every rule that the detector breaks."""
    _insist(check_detector(detector), getattr(detector, "name", type(detector).__name__))


def assert_embedder(embedder: Embedder) -> None:
    """Raise an AssertionError that lists every rule that the embedder breaks."""
    _insist(check_embedder(embedder), getattr(embedder, "name", type(embedder).__name__))


def _insist(checks: tuple[Check, ...], name: str) -> None:
    broken = [f"{check.rule}: {check.found}" for check in checks if not check.ok]
    if broken:
        raise AssertionError("\n  ".join([f"{name} breaks {len(broken)} of {len(checks)} rules:", *broken]))


def _protocol(part: Any, protocol: Any, names: tuple[str, ...]) -> Check:
    missing = [name for name in names if not hasattr(part, name)]
    rule = f"is a {protocol.__name__}"
    return Check(
        rule, not missing and isinstance(part, protocol), f"missing: {', '.join(missing)}" if missing else ""
    )


def _pickled(part: Any) -> tuple[Any, Check]:
    """A copy as a worker gets it."""
    rule = "can be pickled before prepare()"
    try:
        return pickle.loads(pickle.dumps(part)), Check(rule, True)  # noqa: S301  # our own bytes
    except Exception as error:  # the very thing that is tested
        return None, Check(rule, False, f"{type(error).__name__}: {error}"[:200])


def _try(action: Callable[[], Any]) -> str | None:
    try:
        action()
    except Exception as error:  # the very thing that is tested
        return f"raised {type(error).__name__}: {error}"[:200]
    return None


@contextlib.contextmanager
def _no_network() -> Iterator[list[str]]:
    """Refuse and record what Python code looks up or connects to (a C library's own calls are not seen)."""
    calls: list[str] = []
    kept = socket.getaddrinfo, socket.socket.connect, socket.socket.connect_ex

    def refuse(*arguments: Any, **_: Any) -> Any:
        target = next((a for a in arguments if isinstance(a, (str, tuple))), "")
        calls.append(str(target)[:80])
        raise OSError("the conformance kit allows no network")

    socket.getaddrinfo = refuse
    socket.socket.connect = refuse  # type: ignore[method-assign]
    socket.socket.connect_ex = refuse  # type: ignore[method-assign]
    try:
        yield calls
    finally:
        socket.getaddrinfo = kept[0]
        socket.socket.connect = kept[1]  # type: ignore[method-assign]
        socket.socket.connect_ex = kept[2]  # type: ignore[method-assign]
