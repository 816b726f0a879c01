"""What the sidecar declares: an origin, which is only ever a claim, and dates that an archive vouches for.

An image that existed before 2021 cannot be the work of today's image models (DALL·E was announced on
5 January 2021). A sidecar can write any date, so a date counts only together with a source that the user's
configuration trusts to keep such records (`EvidenceConfig.archives`).
"""

from __future__ import annotations

import calendar
import datetime as dt
import re
from collections.abc import Collection, Mapping
from typing import Any

from genepool.evidence._weights import (
    ARCHIVE,
    DECLARED_AI,
    DECLARED_HUMAN,
    NOTHING,
    claim_of,
    clean,
    note,
    witness,
)
from genepool.records import Evidence, OriginClass

_CUTOFF = dt.date(2021, 1, 1)
_DATE = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2})(?:[T ].{0,40})?)?)?")
_MAX_GENERATION = 1_000_000


def latest_day(value: object) -> dt.date | None:
    """The last day that an ISO 8601 date can mean: ``1889`` is 1889-12-31; None where it is no date."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = f"{value:04d}" if 0 < value < 10_000 else ""
    match = _DATE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        return None
    year, month, day = (int(part) if part else 0 for part in match.groups())
    try:
        if day:
            return dt.date(year, month, day)
        if month:
            return dt.date(year, month, calendar.monthrange(year, month)[1])
        return dt.date(year, 12, 31)
    except ValueError:  # no such month, day or year
        return None


def interval(value: object) -> tuple[int, int | None] | None:
    """A claimed generation: ``2``, ``[1, 3]`` or ``[1, null]``; None where it is no interval."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return (value, value) if 0 <= value <= _MAX_GENERATION else None
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        return None
    lo, hi = value
    if isinstance(lo, bool) or not isinstance(lo, int) or not 0 <= lo <= _MAX_GENERATION:
        return None
    if hi is None:
        return (lo, None)
    if isinstance(hi, bool) or not isinstance(hi, int) or not lo <= hi <= _MAX_GENERATION:
        return None
    return (lo, hi)


def testify(declared: Mapping[str, Any], archives: Collection[str]) -> list[Evidence]:
    """What one image's sidecar entry says.

    Args:
        declared: The entry as it was read; any value may be of any type.
        archives: Sources whose dates are believed.
    """
    found: list[Evidence] = []
    generation = interval(declared.get("generation"))
    if generation is None and declared.get("generation") is not None:
        found.append(
            note(
                "declared",
                f"generation must be an integer or [lo, hi], found {clean(repr(declared['generation']), 60)}",
            )
        )
    model = clean(declared.get("model"), 200)
    named = declared.get("origin")
    origin = _origin(named)
    if origin is None and named is not None:
        found.append(
            note(
                "declared", f"origin must be one of {', '.join(OriginClass)}, found {clean(repr(named), 60)}"
            )
        )
    if origin is None and generation is not None and generation[0] >= 1:
        origin = OriginClass.SYNTHETIC  # a generation of 1 or more says that a model made it
    if origin is not None or generation is not None or model:
        found.append(_declared(origin or OriginClass.UNKNOWN, generation, model))
    found.extend(_archived(declared, origin, archives))
    return found


def _origin(named: object) -> OriginClass | None:
    if not isinstance(named, str):
        return None
    try:
        return OriginClass(named.strip().lower())
    except ValueError:
        return None


def _declared(origin: OriginClass, generation: tuple[int, int | None] | None, model: str) -> Evidence:
    claim = claim_of(origin)
    return witness(
        "declared",
        claim,
        {"ai": DECLARED_AI, "human": DECLARED_HUMAN}.get(claim, NOTHING),
        origin=origin.value,
        generation=generation,
        model=model,
        reference="sidecar",
        detail=f"the sidecar declares {origin.value}",
    )


def _archived(
    declared: Mapping[str, Any], origin: OriginClass | None, archives: Collection[str]
) -> list[Evidence]:
    source, created = declared.get("source"), declared.get("created")
    if not isinstance(source, str) or source not in archives or created is None:
        return []
    day = latest_day(created)
    if day is None:
        return [
            note("archive", f"created must be an ISO 8601 date, found {clean(repr(created), 60)}", source)
        ]
    if day >= _CUTOFF:
        return []
    human = origin if origin is not None and origin.is_human else None
    return [
        witness(
            "archive",
            "human",
            ARCHIVE,
            origin=human.value if human else "",
            reference=clean(source, 200),
            detail=f"archive {clean(source, 80)} dates the image {day} or earlier, before image models",
        )
    ]
