"""``--baseline``: accept a set's known faults, fail only where it got worse."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genepool.errors import UsageError
from genepool.records import Decision, Failure

__all__ = ["apply_baseline", "load_baseline"]

# The measure by which a rule gets better or worse, and the side that is worse.
_MEASURE = {
    "GP101": ("human_ratio", "lower", -1),
    "GP301": ("diversity", "value", -1),
    "GP303": ("near_duplicates", "value", 1),
    "GP401": ("generation", "value", 1),
    "GP501": ("opted_out", "value", 1),
}


def load_baseline(path: str | Path) -> dict[str, Any]:
    """Read an earlier decision, as printed by ``genepool check --format json``.

    Raises:
        UsageError: Not a readable decision.
    """
    import orjson

    try:
        data = orjson.loads(Path(path).read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise UsageError(f"{path}: not a readable baseline: {error}") from None
    if not isinstance(data, dict) or data.get("schema") != "genepool.decision/1":
        raise UsageError(
            f"{path}: expected an object of schema genepool.decision/1",
            hint="genepool check PATH --format json > baseline.json",
        )
    failures = data.get("failures")
    if not isinstance(failures, list) or not all(
        isinstance(f, dict) and isinstance(f.get("code"), str) and isinstance(f.get("cases"), int)
        for f in failures
    ):
        raise UsageError(f"{path}: not a decision of genepool: its failures have no code or count of cases")
    measures = data.get("measures")
    if not isinstance(measures, dict) or not all(isinstance(m, dict) for m in measures.values()):
        raise UsageError(f"{path}: not a decision of genepool: its measures are not objects")
    return data


def apply_baseline(decision: Decision, baseline: Mapping[str, Any]) -> Decision:
    """The decision without the failures that the baseline already had and that did not get worse.

    They stay visible in ``extra["tolerated"]``. A failure is worse when its measure moved the wrong way or
    when it has more cases than before; a rule that held before is never tolerated.
    """
    known = {f["code"]: f for f in baseline.get("failures", [])}
    kept: list[Failure] = []
    tolerated: list[dict[str, Any]] = []
    for failure in decision.failures:
        before = known.get(failure.code)
        if before is None or _worse(failure, before, decision, baseline):
            kept.append(failure)
        else:
            tolerated.append({"code": failure.code, "message": failure.message})
    status = kept[0].status if kept else "pass"
    return dataclasses.replace(
        decision,
        status=status,
        failures=tuple(kept),
        extra={**decision.extra, "tolerated": tolerated, "baseline": dict(baseline.get("dataset") or {})},
    )


def _worse(
    failure: Failure, before: Mapping[str, Any], decision: Decision, baseline: Mapping[str, Any]
) -> bool:
    if failure.status == "fail" and before.get("status") == "undecided":
        return True
    if len(failure.cases) > int(before.get("cases", 0)):
        return True
    if failure.code not in _MEASURE:
        return False
    name, side, sign = _MEASURE[failure.code]
    now = getattr(decision.measures[name], side) if name in decision.measures else None
    then = baseline.get("measures", {}).get(name, {}).get(side)
    if now is None or then is None:
        return now is None and then is not None
    # 1e-9: the same images on another machine may differ in the last bit.
    return bool(sign * (now - then) > 1e-9)
