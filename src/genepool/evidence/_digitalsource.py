"""The vocabulary of digital source types and what each term means for an image's origin."""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from importlib import resources

from genepool.records import OriginClass

_QCODE = "digsrctype:"
_MAX_TERM = 200
"""Characters; the longest real term has 88."""


@dataclass(frozen=True, slots=True)
class SourceType:
    """One digital source type.

    Attributes:
        uri: The term's canonical address.
        name: Its last part, ``digitalCapture``.
        origin: The class that it stands for.
        retired: Withdrawn by IPTC, still found in files.
    """

    uri: str
    name: str
    origin: OriginClass
    retired: bool = False


@functools.cache
def _vocabulary() -> tuple[SourceType, ...]:
    text = resources.files("genepool.evidence").joinpath("digitalsource.toml").read_text("utf-8")
    terms = []
    for scheme in tomllib.loads(text).values():
        for origin in OriginClass:
            for name in scheme.get(origin.value, ()):
                uri = f"http://{scheme['prefix']}{name}"
                terms.append(SourceType(uri, name, origin, name in scheme["retired"]))
    return tuple(terms)


@functools.cache
def _index() -> dict[str, SourceType]:
    """Every accepted spelling, folded: the address without its scheme, and the bare IPTC term."""
    index: dict[str, SourceType] = {}
    for term in _vocabulary():
        address = term.uri.removeprefix("http://").lower()
        index[address] = term
        if address.startswith("cv.iptc.org/"):
            index[term.name.lower()] = term
    return index


def digital_source_types() -> tuple[SourceType, ...]:
    """All known terms: 20 of IPTC, 2 of C2PA."""
    return _vocabulary()


def source_type(value: str) -> SourceType | None:
    """The term that a value from a file names.

    Writers are careless, so ``https``, other letter cases, white space around the value, a trailing slash,
    the qualified code ``digsrctype:`` and the bare IPTC term are all understood. Nothing else is: the value
    must *be* a term, not contain one.

    Args:
        value: As found in a C2PA action or in ``Iptc4xmpExt:DigitalSourceType``.

    Returns:
        The term, or None when the value is no known term (its origin is then unknown).
    """
    if len(value) > _MAX_TERM:
        return None
    folded = value.strip().lower()
    for scheme in ("https://", "http://", _QCODE):
        folded = folded.removeprefix(scheme)
    return _index().get(folded.rstrip("/"))
