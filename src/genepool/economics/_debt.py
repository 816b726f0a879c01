"""Technical debt, counted from the log: everything downstream of something that has to be taken back."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genepool.provenance import Trace, Trail

__all__ = ["Debt", "count_debt"]


@dataclass(frozen=True, slots=True)
class Debt:
    """What hangs on a start.

    Attributes:
        start: ``image …``, ``model …`` or ``cohort …``.
        cohorts: Collections reached.
        sets: Checked sets reached.
        images: Images in them: those of the sets, and of collections that no reached set holds.
        models: Models trained on any of it; a start that is a model counts as one itself.
        certificates: Certificates that stand on the sets.
        unknown: Sets whose member list is not kept: they may belong here, too.
    """

    start: str
    cohorts: int
    sets: int
    images: int
    models: int
    certificates: int
    unknown: int

    def to_json(self) -> dict[str, Any]:
        """Plain data, with a sentence."""
        words = (
            f"{self.start} reached {self.sets} sets and {self.cohorts} collections with {self.images:,} "
            f"images, {self.models} models to train again, {self.certificates} certificates"
        )
        if self.unknown:
            words += f"; {self.unknown} more sets keep no list of members and may be touched, too"
        return {**asdict(self), "words": words}


def count_debt(trail: Trail, trace: Trace) -> Debt:
    """Count what a trace reached.

    Args:
        trail: All logs that were traced.
        trace: From `genepool.provenance.trace_model`, `trace_image` or `trace_cohort`.
    """
    sizes = {body["root"]: int(body["n"]) for state in trail.logs for _, body in state.datasets}
    roots, names = trace.names("dataset"), trace.names("cohort")
    # A collection is bound by roots of its own; one that was checked as a set is not counted twice.
    apart = [
        name for name in names if name in trail.cohorts and not set(trail.cohorts[name].roots) & set(roots)
    ]
    images = sum(sizes.get(root, 0) for root in roots) + sum(trail.cohorts[name].n for name in apart)
    models = len(trace.names("model")) + trace.start.startswith("model ")
    return Debt(
        trace.start,
        len(names),
        len(roots),
        images,
        models,
        len(trace.names("certificate")),
        len(trace.unknown),
    )
