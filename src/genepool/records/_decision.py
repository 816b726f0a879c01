"""What the gate decided, with its numbers and its cases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from genepool.records._images import Case

__all__ = ["Decision", "Failure", "Measure"]


@dataclass(frozen=True, slots=True)
class Measure:
    """One line of a decision: a number, its floor or ceiling, and whether it holds.

    ``ok`` is True, False, or None for undecided / not measured.
    """

    name: str
    title: str
    value: float | None
    lower: float | None
    upper: float | None
    n: int
    method: str
    bound: float | None = None
    bound_kind: Literal["floor", "ceiling", ""] = ""
    ok: bool | None = None
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """The measure with the keys that the JSON contract promises, and its bound beside them."""
        out: dict[str, Any] = {
            "value": self.value,
            "lower": self.lower,
            "upper": self.upper,
            "n": self.n,
            "method": self.method,
            "ok": self.ok,
        }
        if self.bound is not None:
            out[self.bound_kind] = self.bound
        if self.note:
            out["note"] = self.note
        return out


@dataclass(frozen=True, slots=True)
class Failure:
    """A rule that did not hold.

    ``status`` is ``fail`` or ``undecided``; ``cases`` are all the images that caused it, not a sample.
    """

    code: str
    status: Literal["fail", "undecided"]
    message: str
    hint: str
    cases: tuple[Case, ...] = ()


@dataclass(frozen=True, slots=True, repr=False)
class Decision:
    """What the gate decided about a dataset. Truthy only when it passed.

    Attributes:
        status: ``pass``, ``fail`` or ``undecided`` (fail outranks undecided).
        uri, n, root: The dataset: where, how many readable images, hex Merkle root of its digests.
        measures: By name, in the order in which people read them.
        failures: Rules that did not hold, worst first.
        set_aside: Images that are not part of the decision, each with its reason.
        policy: The policy that was applied, as plain data.
        extra: Further sections (origins, generations, slices, timing), as plain data.
    """

    status: Literal["pass", "fail", "undecided"]
    uri: str
    n: int
    root: str
    measures: Mapping[str, Measure]
    failures: tuple[Failure, ...] = ()
    set_aside: tuple[Case, ...] = ()
    policy: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return self.status == "pass"

    def __repr__(self) -> str:
        codes = ", ".join(failure.code for failure in self.failures)
        return f"Decision({self.status}{': ' + codes if codes else ''}; n={self.n}, root={self.root[:16]})"

    def _repr_html_(self) -> str:
        """The decision in a notebook: verdict, numbers with their bounds, what to do next; under 60 kB."""
        from genepool.records._html import decision_html

        return decision_html(self)

    @property
    def exit_code(self) -> int:
        """0 pass, 1 fail, 5 undecided."""
        return {"pass": 0, "fail": 1, "undecided": 5}[self.status]

    def to_json(self) -> dict[str, Any]:
        """The object promised as ``genepool.decision/1``."""
        return {
            "schema": "genepool.decision/1",
            "status": self.status,
            "dataset": {"uri": self.uri, "n": self.n, "root": self.root},
            "measures": {name: m.to_json() for name, m in self.measures.items()},
            "failures": [
                {
                    "code": f.code,
                    "status": f.status,
                    "message": f.message,
                    "hint": f.hint,
                    "cases": len(f.cases),
                }
                for f in self.failures
            ],
            "set_aside": {"n": len(self.set_aside), "cases": _count(c.reason for c in self.set_aside)},
            "policy": dict(self.policy),
            **self.extra,
        }


def _count(words: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for word in words:
        counts[word] = counts.get(word, 0) + 1
    return dict(sorted(counts.items()))
