"""Which images the outputs of a model were made from, and the generation that follows for each.

The sidecar names parents by uri or by digest. They are a claim, but one that can only raise a generation:
an image is at least one generation after each of its parents and never earlier than its model.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from genepool.errors import UsageError
from genepool.provenance._entries import clean
from genepool.provenance._lineages import UNKNOWN, Interval, ModelRecord
from genepool.provenance._trail import Trail
from genepool.records import Attestation

__all__ = ["MAX_PARENTS", "Parentage", "descend", "known_model", "named_parents"]

MAX_PARENTS = 64
_SHOWN = 6
_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Parentage:
    """One image's parents and generation.

    Attributes:
        generation: ``(lo, hi)``; hi None = unbounded.
        inside: Positions of parents that belong to the same set.
        outside: SHA-256 (hex) of the others.
    """

    generation: Interval
    inside: tuple[int, ...] = ()
    outside: tuple[str, ...] = ()

    def digests(self, shas: Sequence[bytes]) -> list[str]:
        """SHA-256 (hex) of all parents, sorted, each once; ``shas`` are those of the set."""
        return sorted({*self.outside, *(shas[at].hex() for at in self.inside)})


def known_model(trail: Trail, name: str) -> ModelRecord:
    """A registered model.

    Raises:
        UsageError: No log that is read knows it; the nearest name is suggested.
    """
    if name in trail.models:
        return trail.models[name]
    near = difflib.get_close_matches(name, trail.models, n=1)
    raise UsageError(
        f"model {name!r}: not registered; found {', '.join(sorted(trail.models)) or 'none'}",
        hint=f"did you mean {near[0]!r}?" if near else f"genepool register model {name} --trained-on COHORT",
    )


def named_parents(declared: str | None) -> list[str]:
    """What a sidecar entry (JSON text) names as parents."""
    if not declared or '"parents"' not in declared:
        return []
    try:
        data = orjson.loads(declared)
    except orjson.JSONDecodeError:
        return []
    named: Any = data.get("parents") if isinstance(data, dict) else None
    named = named if isinstance(named, list) else [named]
    return list(dict.fromkeys(parent for parent in named if isinstance(parent, str) and parent))


def descend(
    uris: Sequence[str],
    shas: Sequence[bytes],
    declared: Sequence[str | None],
    model: Interval,
    trail: Trail,
) -> tuple[list[Parentage], list[int], list[str]]:
    """Parents and generations of a model's outputs.

    Args:
        uris: Of the images, in order.
        shas: SHA-256 of each, 32 bytes.
        declared: Sidecar entry of each, JSON text; None or empty: none.
        model: Generation of what the model makes.
        trail: Where the generations of parents outside the set are looked up.

    Returns:
        One `Parentage` an image; positions in an order in which parents come first; sentences about
        parents that could not be found.

    Raises:
        UsageError: An image is named as its own ancestor, or has more than 64 parents.
    """
    inside: dict[int, tuple[int, ...]] = {}
    outside: dict[int, tuple[str, ...]] = {}
    lost: dict[int, str] = {}
    index: dict[str, int] = {}
    for at, text in enumerate(declared):
        named = named_parents(text)
        if not named:
            continue
        if len(named) > MAX_PARENTS:
            raise UsageError(f"{uris[at]}: expected at most {MAX_PARENTS} parents, found {len(named)}")
        if not index:
            index = {sha.hex(): n for n, sha in enumerate(shas)} | {uri: n for n, uri in enumerate(uris)}
        words = [word.removeprefix("sha256:") for word in named]
        inside[at] = tuple(sorted({index[word] for word in words if word in index}))
        outside[at] = tuple(sorted({word for word in words if word not in index and _is_digest(word)}))
        if unknown := [word for word in words if word not in index and not _is_digest(word)]:
            lost[at] = unknown[0]
    order = _parents_first(len(uris), inside, uris)
    attested = _attested(trail, outside.values())
    plain = Parentage(model)
    found = [plain] * len(uris)
    for at in order:
        if at not in inside:
            continue
        ends = [found[parent].generation for parent in inside[at]]
        ends += [attested.get(digest, UNKNOWN) for digest in outside[at]]
        ends += [UNKNOWN] * (at in lost)
        found[at] = Parentage(_after(model, ends), inside[at], outside[at])
    notes = []
    if lost:
        at, word = next(iter(lost.items()))
        notes.append(
            f"{len(lost)} images name a parent that is neither in the set nor a SHA-256 digest "
            f"({uris[at]}: {clean(word)[:60]!r}); their generation has no upper end"
        )
    return found, order, notes


def _is_digest(word: str) -> bool:
    return len(word) == 64 and set(word) <= _HEX


def _after(model: Interval, parents: Iterable[Interval]) -> Interval:
    """At least the model's generation, and one after every parent's."""
    lo, hi = model
    for low, high in parents:
        lo = max(lo, low + 1)
        hi = None if hi is None or high is None else max(hi, high + 1)
    return lo, hi


def _attested(trail: Trail, wanted: Iterable[tuple[str, ...]]) -> Mapping[str, Interval]:
    digests = sorted({digest for group in wanted for digest in group})
    if not digests:
        return {}
    claims = trail.attestations([bytes.fromhex(digest) for digest in digests], [])
    return {digest: _worst(found) for digest, found in zip(digests, claims, strict=True) if found}


def _worst(claims: Sequence[Attestation]) -> Interval:
    """The highest ends that are claimed; what a stranger claims to be human may be anything."""
    ends = [claim.generation or UNKNOWN if claim.trusted else UNKNOWN for claim in claims]
    highs = [hi for _, hi in ends if hi is not None]
    return max(lo for lo, _ in ends), max(highs) if len(highs) == len(ends) else None


def _parents_first(n: int, parents: Mapping[int, tuple[int, ...]], uris: Sequence[str]) -> list[int]:
    """Kahn's order.

    Raises:
        UsageError: There is a cycle; it is spelled out.
    """
    waiting = {at: set(group) for at, group in parents.items() if group}
    children: dict[int, list[int]] = {}
    for at, group in waiting.items():
        for parent in group:
            children.setdefault(parent, []).append(at)
    order = [at for at in range(n) if at not in waiting]
    for at in order:  # grows while it is walked
        for child in children.get(at, ()):
            waiting[child].discard(at)
            if not waiting[child]:
                del waiting[child]
                order.append(child)
    if waiting:
        names = [uris[at] for at in _cycle(waiting)]
        shown = names if len(names) <= _SHOWN else [*names[: _SHOWN - 1], "…", names[-1]]
        raise UsageError(
            f"{names[0]}: expected parents that came before it, found itself among its ancestors "
            f"({' ← '.join(shown)})",
            hint="correct `parents` in the sidecar",
        )
    return order


def _cycle(waiting: Mapping[int, set[int]]) -> Iterator[int]:
    """One cycle, beginning and ending with the same position."""
    at = min(waiting)
    seen: dict[int, int] = {}
    path: list[int] = []
    while at not in seen:
        seen[at] = len(path)
        path.append(at)
        at = min(parent for parent in waiting[at] if parent in waiting)
    yield from (*path[seen[at] :], at)
