"""What all kits share: pictures, a view of them, a closed network, and the list of rules kept and broken."""

from __future__ import annotations

import contextlib
import functools
import io
import pickle
import socket
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from genepool.records import Item, Sample

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from genepool.records import ImageView


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


def tried(part: Any, judge: Callable[[Any, Any], list[Check]]) -> list[Check]:
    """Pickled, prepared and judged behind a closed network."""
    copy, kept = pickled(part)
    checks = [kept]
    with no_network() as calls:
        started = attempt(part.prepare)
        checks.append(Check("prepare() loads the model", started is None, started or ""))
        if started is None:
            checks += judge(part, copy)
    return [*checks, Check("touches no network", not calls, ", ".join(calls[:3]))]


def insist(checks: tuple[Check, ...], name: str) -> None:
    broken = [f"{check.rule}: {check.found}" for check in checks if not check.ok]
    if broken:
        raise AssertionError("\n  ".join([f"{name} breaks {len(broken)} of {len(checks)} rules:", *broken]))


def protocol(part: Any, protocol: Any, names: tuple[str, ...]) -> Check:
    missing = [name for name in names if not hasattr(part, name)]
    rule = f"offers what {protocol.__name__} asks for"
    return Check(
        rule, not missing and isinstance(part, protocol), f"missing: {', '.join(missing)}" if missing else ""
    )


def pickled(part: Any) -> tuple[Any, Check]:
    """A copy as a worker gets it."""
    rule = "can be pickled before prepare()"
    try:
        return pickle.loads(pickle.dumps(part)), Check(rule, True)  # noqa: S301  # our own bytes
    except Exception as error:  # the very thing that is tested
        return None, Check(rule, False, f"{type(error).__name__}: {error}"[:200])


def attempt(action: Callable[[], Any]) -> str | None:
    try:
        action()
    except Exception as error:  # the very thing that is tested
        return f"raised {type(error).__name__}: {error}"[:200]
    return None


@contextlib.contextmanager
def no_network() -> Iterator[list[str]]:
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
