"""Registering models: what they were trained on, and what generation that makes their outputs."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

from genepool.config import Config
from genepool.errors import UsageError
from genepool.provenance._entries import encode, name_of
from genepool.provenance._lineages import UNKNOWN, Interval, training_generation
from genepool.provenance._register import Registration, registration
from genepool.provenance._trail import Trail, open_trail
from genepool.provenance._writer import now, open_writer
from genepool.store import Workspace

__all__ = ["register_model"]


def register_model(
    workspace: Workspace,
    name: str,
    trained_on: Sequence[tuple[str, float | None]],
    base: str | None = None,
    config: Config | None = None,
) -> Registration:
    """Record a model and what it was trained on.

    Args:
        workspace: Where the log lies.
        name: The model's name.
        trained_on: ``(what, share)``: a cohort, a model (its outputs), the root of a checked dataset (64 hex
            digits), or ``unknown``; share in [0, 1] or None.
        base: The model that it was fine-tuned from.
        config: Key and trust policy.

    Returns:
        Its ``generation`` is that of the model's outputs.

    Raises:
        UsageError: Nothing named, a name that is not registered, shares that add up to more than 1, or a
            model of this name that was trained on something else.
        IntegrityError: A log does not verify.
    """
    if not trained_on:
        raise UsageError(
            f"model {name!r}: expected what it was trained on, found nothing", hint="--trained-on unknown"
        )
    trail = open_trail(workspace, config)
    parts = [(*_resolve(ref, trail), _share(ref, share)) for ref, share in trained_on]
    if sum(ppm or 0 for _, _, ppm in parts) > 1_000_000:
        raise UsageError(f"model {name!r}: expected shares that add up to at most 1")
    if base is not None and base not in trail.models and base != "unknown":
        raise _unknown_name("base model", base, trail.models)
    _not_another(name, parts, base, trail)
    with open_writer(workspace, config) as writer:
        below = None if base is None else trail.models[base].generation if base in trail.models else (1, None)
        generation = training_generation([_generation(kind, ref, trail) for kind, ref, _ in parts], below)
        body: dict[str, Any] = {
            "kind": "model",
            "at": now(),
            "gen": list(generation),
            "name": name_of(name, "model"),
            "trained_on": [{"kind": kind, "ppm": ppm, "ref": ref} for kind, ref, ppm in parts],
        }
        if base is not None:
            body["base"] = name_of(base, "base model")
        writer.append([encode(body)], "model", {"model": name})
        return registration(
            writer, name=name, origin="", n=len(parts), new=1, known=0, model=name, generation=generation
        )


def _not_another(
    name: str, parts: Sequence[tuple[str, str, int | None]], base: str | None, trail: Trail
) -> None:
    """A name stands for one model: its images carry the name, and their generation hangs on it."""
    earlier = trail.models.get(name)
    if earlier is None:
        return
    before = {(ref, None if share is None else round(share * 1_000_000)) for ref, share in earlier.trained_on}
    if before != {(ref, ppm) for _, ref, ppm in parts} or earlier.base != (base or ""):
        known = ", ".join(ref for ref, _ in earlier.trained_on)
        raise UsageError(
            f"model {name!r} is registered already, trained on {known}: found another account",
            hint=f"give the new model a name of its own, {name}-2",
        )


def _share(ref: str, share: float | None) -> int | None:
    if share is None:
        return None
    if not 0 <= share <= 1:
        raise UsageError(f"share of {ref!r}: expected a number from 0 to 1, found {share}")
    return round(share * 1_000_000)


def _resolve(ref: str, trail: Trail) -> tuple[str, str]:
    if ref == "unknown":
        return "unknown", ref
    if ref in trail.cohorts:
        return "cohort", ref
    if ref in trail.models:
        return "model", ref
    for cohort in trail.cohorts.values():
        if ref in cohort.roots:
            return "cohort", cohort.name
    if len(ref) == 64 and set(ref) <= set("0123456789abcdef"):
        return "dataset", ref
    raise _unknown_name("trained on", ref, [*trail.cohorts, *trail.models])


def _unknown_name(what: str, name: str, known: Iterable[str]) -> UsageError:
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    return UsageError(
        f"{what} {name!r}: expected a registered name, found {', '.join(names[:20]) or 'none registered'}",
        hint=f"did you mean {near[0]!r}?"
        if near
        else "genepool register human FOLDER, or --trained-on unknown",
    )


def _generation(kind: str, ref: str, trail: Trail) -> Interval:
    if kind == "cohort":
        cohort = trail.cohorts[ref]
        return cohort.generation if cohort.trusted or cohort.origin == "synthetic" else UNKNOWN
    if kind == "model":
        return trail.models[ref].generation
    for state in trail.logs:
        for _, body in state.datasets:
            if body["root"] == ref:
                return body["gen"][0], body["gen"][1]
    return UNKNOWN
