"""Strangers' witnesses: plug-ins that read evidence, held to what they state and to one ceiling for all.

Entry-point group ``genepool.evidence``; chosen by ``evidence.readers`` in the configuration. What a reader
says is marked with its name and clamped to its ceiling; it is never a hard fact, and it can neither speak as
one of our own witnesses nor silence one. A reader that fails on an image says so in that image's row.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from genepool import plugins
from genepool.errors import PluginError
from genepool.evidence._weights import clean, note
from genepool.records import Evidence, EvidenceReader, ImageView, OriginClass

__all__ = ["CEILING", "READER", "OpenReader", "held", "open_readers", "reader_fault"]

CEILING = 3.0
"""The most that any plug-in's evidence may weigh: odds of 20 : 1, as much as a generator's own parameters."""
READER = "reader:"
"""Before the name of the witness in `Evidence.kind`."""

_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")
_SIDES = ("ai", "human", "none")
_MOST = 16


@dataclass(slots=True)
class OpenReader:
    """One reader as the probe uses it; picklable before `prepare`.

    Attributes:
        reader: The plug-in's object.
        spec: As configured, ``name`` or ``name:argument``.
        failure: Why it could not start; empty: it did.
    """

    reader: EvidenceReader
    spec: str
    failure: str = ""

    @property
    def identity(self) -> str:
        """Everything beside the image that decides what it says."""
        return f"{self.spec} {self.reader.name}@{self.reader.version} {self.reader.ceiling:g}"

    @property
    def kind(self) -> str:
        """The kind of its evidence."""
        return READER + self.reader.name

    def prepare(self) -> None:
        """Load its state; a failure is remembered and told with every image."""
        self.failure = ""
        try:
            self.reader.prepare()
        except Exception as error:  # a stranger's reader may raise anything
            self.failure = f"cannot start: {type(error).__name__}: {error}"

    def read(self, view: ImageView) -> list[Evidence]:
        """What it says about one image, held to the rules; what it did wrong stands there as a note."""
        if self.failure:
            return [note(self.kind, self.failure)]
        try:
            said = list(_first(self.reader.read(view)))
        except MemoryError:
            raise
        except Exception as error:  # a stranger's reader may raise anything
            return [note(self.kind, f"failed: {type(error).__name__}: {error}")]
        return [held(item, self.kind, self.reader.ceiling) for item in said]


def _first(said: Iterable[Any]) -> Iterable[Any]:
    """At most `_MOST` pieces, so that one reader cannot flood a row."""
    for count, item in enumerate(said):
        if count == _MOST:
            return
        yield item


def held(said: Any, kind: str, ceiling: float) -> Evidence:
    """One piece of a stranger's evidence as the catalogue may hold it."""
    if not isinstance(said, Evidence):
        return note(kind, f"expected Evidence, found {type(said).__name__}")
    if said.claim not in _SIDES:
        return note(kind, f"expected a claim of {', '.join(_SIDES)}, found {clean(said.claim, 40)!r}")
    llr: Any = said.llr
    if not isinstance(llr, (int, float)) or not math.isfinite(llr):
        return note(kind, "expected a finite log-likelihood ratio")
    if (said.claim == "ai" and llr < 0) or (said.claim == "human" and llr > 0):
        return note(kind, f"a claim of {said.claim} with a weight of {llr:+.1f} contradicts itself")
    weight = 0.0 if said.claim == "none" else max(-ceiling, min(ceiling, float(llr)))
    return replace(
        said,
        kind=kind,
        llr=weight,
        cap=ceiling,
        hard=False,
        origin=_class(said),
        model=clean(said.model, 200),
        reference=clean(said.reference, 200),
        detail=clean(said.detail, 300),
        generation=_generation(said),
        parents=(),
    )


def _class(said: Evidence) -> str:
    """The class it names, where that is on the side that it speaks for."""
    try:
        named = OriginClass(said.origin)
    except ValueError:
        return ""
    fits = named.is_ai if said.claim == "ai" else named.is_human if said.claim == "human" else False
    return named.value if fits else ""


def _generation(said: Evidence) -> tuple[int, int | None] | None:
    """A lower end only: nobody but the log may bound a generation from above."""
    found: Any = said.generation
    if said.claim != "ai" or not isinstance(found, (tuple, list)) or len(found) != 2:
        return None
    low = found[0]
    return (low, None) if isinstance(low, int) and not isinstance(low, bool) and 0 < low < 10**6 else None


def open_readers(specs: Sequence[str]) -> tuple[OpenReader, ...]:
    """The readers of a configuration, in its order.

    Args:
        specs: ``name`` or ``name:argument`` each.

    Raises:
        PluginError: One is not installed, cannot be made, is no `EvidenceReader`, states no sound ceiling,
            or shares its name with another.
    """
    found: list[OpenReader] = []
    for spec in dict.fromkeys(specs):
        reader: Any = plugins.create("evidence", spec)
        if not isinstance(reader, EvidenceReader):
            raise PluginError(
                f"plug-in {spec!r}: expected an evidence reader (name, version, ceiling, prepare, read), "
                f"found {type(reader).__name__}"
            )
        if problem := reader_fault(reader):
            raise PluginError(f"plug-in {spec!r}: {problem}", hint="genepool plugins check evidence " + spec)
        if any(reader.name == other.reader.name for other in found):
            raise PluginError(f"two evidence readers are called {reader.name!r}")
        found.append(OpenReader(reader, spec))
    return tuple(found)


def reader_fault(reader: EvidenceReader) -> str:
    """What is wrong with what a reader states about itself; empty: nothing."""
    name: Any = reader.name
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return f"expected a name of lower case letters, digits and hyphens, found {name!r}"
    version: Any = reader.version
    if not isinstance(version, str) or not version:
        return f"expected its version as text, found {version!r}"
    ceiling: Any = reader.ceiling
    if not isinstance(ceiling, (int, float)) or isinstance(ceiling, bool) or not 0 < ceiling <= CEILING:
        return f"expected a weight ceiling above 0 and at most {CEILING:g}, found {ceiling!r}"
    return ""
