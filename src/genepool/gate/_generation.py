"""The generation rules, their lines, and what the report says about ancestry and captions."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genepool.records import Case, Failure, Measure

if TYPE_CHECKING:
    import pyarrow as pa

    from genepool.config import Config
    from genepool.gate._measures import Measures
    from genepool.origin import GenerationVerdict
    from genepool.store import Catalogue

__all__ = ["ancestry", "captions", "contradictions", "generation_lines", "maybe_toxic", "toxic", "worst"]

SHOWN = 60
"""Datasets and models in the report's pedigree; more are counted."""


def toxic(m: Measures, config: Config) -> Failure | None:
    """GP401: images beyond the policy's limit."""
    from genepool.origin import toxic_words

    if not m.toxic:
        return None
    return Failure(
        "GP401",
        "fail",
        f"{_images(m.toxic)} {toxic_words(config.generation)}: machines trained on machines' output",
        f"leave them out: genepool export {shlex.quote(m.uri)} -o OUT",
        m.toxic,
    )


def maybe_toxic(m: Measures, config: Config) -> Failure | None:
    """GP402: machine-made images that may be beyond it."""
    from genepool.origin import toxic_words

    if not m.maybe_toxic or config.generation.unknown == "exclude":
        return None
    return Failure(
        "GP402",
        "fail" if config.generation.unknown == "fail" else "undecided",
        f"{_images(m.maybe_toxic)} known to be synthetic, possibly {toxic_words(config.generation)}",
        "say what their model was trained on: genepool register model NAME --trained-on …, "
        "then genepool register outputs FOLDER --model NAME",
        m.maybe_toxic,
    )


def contradictions(m: Measures, config: Config) -> Failure | None:
    """GP403: claims below what was computed."""
    if not m.findings:
        return None
    return Failure(
        "GP403",
        "fail",
        f"{_images(m.findings)} whose claimed generation is below the one computed from the pedigree",
        f"see who signed the claim: genepool verify {shlex.quote(m.uri)}",
        m.findings,
    )


def _images(cases: tuple[Case, ...]) -> str:
    return "1 image" if len(cases) == 1 else f"{len(cases):,} images"


def generation_lines(m: Measures, config: Config, ok: Callable[..., bool | None]) -> list[Measure]:
    """The generation, and under another rule than the number also what that rule holds to its limit.

    Args:
        m: What was measured.
        config: The policy.
        ok: Whether some rules hold, by their codes.
    """
    policy = config.generation
    open_end = bool(m.maybe_toxic) and policy.unknown != "exclude"
    counted = "; every readable image was looked at"
    method = "1 + the highest generation of parents and of what the model was trained on"
    if policy.tolerance:
        method += f", passing over {policy.tolerance:.1%} of a training set"
    number = policy.rule == "number"
    note = f"{_images(m.toxic)} above {policy.max}" if m.toxic and number else ""
    if nothing := m.generations.get("no origin", 0):
        # The human ratio answers for images of unknown origin; here they are only counted.
        some = "1 image" if nothing == 1 else f"{nothing:,} images"
        note = "; ".join(filter(None, [note, f"{some} of no verified origin"]))
    verdict = ok("GP401", "GP402", "GP403")
    if verdict and nothing and nothing == sum(m.generations.values()):
        verdict = None  # no rule is broken, but there is no image of which anything could be confirmed
    top = float(m.top)
    lines = [
        Measure(
            "generation",
            "generation",
            top,
            top,
            None if open_end else top,
            m.kept,
            method + counted,
            float(policy.max) if number else None,
            "ceiling" if number else "",
            verdict,
            note,
        )
    ]
    if number:
        return lines
    value = m.worst
    inbred = policy.rule == "inbreeding"
    lines.append(
        Measure(
            policy.rule,
            policy.rule,
            value,
            None if open_end and not inbred else value,
            None if open_end and inbred else value,
            m.kept,
            (
                "highest F of a model that made an image (S. Wright 1922, over mixtures)"
                if inbred
                else f"least share of its roots' variance that an image's model keeps, b² = {policy.b2:g}"
            )
            + counted,
            policy.inbreeding if inbred else policy.retention,
            "ceiling" if inbred else "floor",
            verdict,
            f"{_images(m.toxic)} beyond it" if m.toxic else "",
        )
    )
    return lines


def worst(verdict: GenerationVerdict, mask: NDArray[np.bool_]) -> float:
    """What comes nearest to the rule's limit, or lies farthest beyond it, among some images."""
    values = verdict.value[mask & ~np.isnan(verdict.value)]
    if not len(values):
        return {"number": 0.0, "inbreeding": 0.0, "retention": 1.0}[verdict.rule]
    return float(values.min() if verdict.rule == "retention" else values.max())


def ancestry(origins: pa.Table, config: Config) -> dict[str, Any] | None:
    """The set's pedigree with its numbers, as far as it can be shown; None: nothing is registered."""
    from genepool.lineage import describe
    from genepool.origin import SET, lineage_of

    found = lineage_of(origins)
    if not len(found.pedigree):
        return None
    roots = [SET] if SET in found.pedigree else []
    data = describe(found.pedigree, roots, b2=config.generation.b2, generations=found.generations, most=SHOWN)
    return {**data, "findings": list(found.findings)}


def captions(catalogue: Catalogue) -> dict[str, Any]:
    """Captions by who wrote them, as the sidecars say; ``{}`` where no image has one.

    Text that a machine wrote teaches a model to repeat machines, too: its share is shown, not judged. What
    nobody states may be either, so the share is an interval.
    """
    import orjson
    import pyarrow.compute as pc

    table = catalogue.table(["caption", "declared"])
    captioned = pc.and_(
        pc.is_valid(table.column("caption")), pc.greater(pc.utf8_length(table.column("caption")), 0)
    )
    known = table.column("declared").filter(captioned)
    counts = {"human": 0, "machine": 0}
    for row in pc.value_counts(known).to_pylist():
        try:
            data = orjson.loads(row["values"] or "{}")
        except orjson.JSONDecodeError:
            continue
        source = data.get("caption_source") if isinstance(data, dict) else None
        if source in counts:
            counts[source] += int(row["counts"])
    total = len(known)
    if not total:
        return {}
    unstated = total - sum(counts.values())
    return {
        "captions": total,
        **counts,
        "unstated": unstated,
        "machine_share": {
            "lower": counts["machine"] / total,
            "upper": (counts["machine"] + unstated) / total,
            "n": total,
        },
    }
