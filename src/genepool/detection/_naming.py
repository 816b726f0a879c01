"""``/path/model.onnx@sha256=…,key=value``: which file, and what is demanded of it."""

from __future__ import annotations

import re

from genepool.errors import PluginError

__all__ = ["check_pin", "options_of"]

_OPTIONS = re.compile(r"^[a-z_0-9]+=[^,]*(,[a-z_0-9]+=[^,]*)*$")
_SHA256 = re.compile(r"^[0-9a-f]{64}$")


def options_of(spec: str, known: tuple[str, ...]) -> tuple[str, dict[str, str]]:
    """Split a plug-in's argument into its place and its options.

    Raises:
        PluginError: An option that is not known, or a sha256 that is none.
    """
    place, at, tail = spec.rpartition("@")
    if not at or not _OPTIONS.match(tail):
        return spec, {}
    found = dict(part.split("=", 1) for part in tail.split(","))
    unknown = sorted(set(found) - set(known))
    if unknown:
        raise PluginError(
            f"detector {spec!r}: unknown option {unknown[0]!r}", hint=f"known: {', '.join(known)}"
        )
    pin = found.get("sha256")
    if pin is not None:
        found["sha256"] = pin = pin.lower()
        if not _SHA256.match(pin):
            raise PluginError(
                f"detector {spec!r}: sha256: expected 64 hex digits, found {len(pin)} characters"
            )
    return place, found


def check_pin(name: str, pin: str | None, *digests: str) -> str:
    """Empty where one of the digests is the pinned one (or nothing is pinned); else what is wrong."""
    if pin is None or pin in digests:
        return ""
    return f"detector {name}: expected sha256 {pin[:16]}…, found {digests[0][:16]}…: not what was pinned"
