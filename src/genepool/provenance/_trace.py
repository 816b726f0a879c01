"""Downstream: the sets, models and certificates that an image or a model reached.

What flows where: an image into the collections that it was registered in and the sets that were checked with
it; a collection or a set into the models trained on it; a model into its outputs and into models fine-tuned
from it. Certificates stand on sets. All of it is what a withdrawal of the starting point would touch.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from genepool.provenance._certify import certificates
from genepool.provenance._members import read_members
from genepool.provenance._trail import Index, Trail, as_digests

__all__ = ["Reached", "Trace", "trace_cohort", "trace_image", "trace_model"]

Kind = Literal["cohort", "dataset", "model", "certificate"]


@dataclass(frozen=True, slots=True)
class Reached:
    """One thing downstream.

    Attributes:
        kind: ``cohort``, ``dataset`` (by root), ``model`` or ``certificate`` (by file).
        name: Which.
        via: What it was reached through, ``kind name``.
        steps: Edges from the start.
        detail: Facts for people: numbers of images, statuses.
    """

    kind: Kind
    name: str
    via: str
    steps: int
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Trace:
    """Everything downstream of one image or model.

    Attributes:
        start: ``image <sha256>`` or ``model <name>``.
        reached: In the order in which they are reached.
        unknown: Checked sets whose member list is not kept: they may hold it, too.
    """

    start: str
    reached: tuple[Reached, ...]
    unknown: tuple[str, ...] = ()

    def names(self, kind: Kind) -> tuple[str, ...]:
        """What was reached of one kind."""
        return tuple(one.name for one in self.reached if one.kind == kind)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "start": self.start,
            "reached": [asdict(one) for one in self.reached],
            "unknown": list(self.unknown),
        }


def trace_image(trail: Trail, sha256: bytes) -> Trace:
    """What an image reached, by its bytes.

    Raises:
        LogError: A kept member list is not the one that its root binds.
    """
    graph = _Graph(trail)
    digests = as_digests([sha256])
    start = f"image {sha256.hex()}"
    first: list[tuple[Kind, str]] = [("cohort", name) for name in graph.cohorts_of(digests)]
    first += [("dataset", root) for root in graph.sets_with(digests)]
    return graph.walk(start, first)


def trace_model(trail: Trail, name: str) -> Trace:
    """What a model's outputs reached."""
    graph = _Graph(trail)
    return graph.walk(f"model {name}", list(graph.after_model(name)))


def trace_cohort(trail: Trail, name: str) -> Trace:
    """What a collection's images reached."""
    return _Graph(trail).walk(f"cohort {name}", [("cohort", name)])


@dataclass
class _Graph:
    trail: Trail
    unknown: set[str] = field(default_factory=set)

    # ----------------------------------------------------------------------------------- the edges

    @cached_property
    def members(self) -> dict[str, NDArray[np.uint8]]:
        """Root → digests, of every checked set whose list is kept."""
        found: dict[str, NDArray[np.uint8]] = {}
        for state in self.trail.logs:
            for _, body in state.datasets:
                root = body["root"]
                if root not in found:
                    kept = read_members(Path(state.path).parent, root)
                    if kept is None:
                        self.unknown.add(root)
                    else:
                        found[root] = kept
        self.unknown -= set(found)
        return found

    @cached_property
    def certificates(self) -> list[tuple[str, str]]:
        """``(root, file)`` of every certificate that the logs' workspaces made."""
        made = [one for state in self.trail.logs for one in certificates(Path(state.path).parent)]
        return [(str(certificate.dataset.body()["root"]), str(path)) for path, certificate in made]

    def sets_with(self, digests: NDArray[np.uint8]) -> Iterator[str]:
        for root, kept in self.members.items():
            if len(Index(kept).pairs(digests)[0]):
                yield root

    def cohorts_of(self, digests: NDArray[np.uint8]) -> Iterator[str]:
        matches = self.trail.match(digests, np.zeros((0, 32), np.uint8))
        yield from self.trail.count_cohorts(np.unique(matches.claim))

    def _models_on(self, kind: Kind, name: str) -> Iterator[str]:
        roots = {name}
        if kind == "cohort" and name in self.trail.cohorts:
            roots |= set(self.trail.cohorts[name].roots)
        for model in self.trail.models.values():
            if any(ref in roots for ref, _ in model.trained_on):
                yield model.name

    def after_model(self, name: str) -> Iterator[tuple[Kind, str]]:
        for cohort in self.trail.cohorts.values():
            if cohort.model == name:
                yield "cohort", cohort.name
        for model in self.trail.models.values():
            if model.base == name or any(ref == name for ref, _ in model.trained_on):
                yield "model", model.name

    def _after_cohort(self, name: str) -> Iterator[tuple[Kind, str]]:
        rows = self.trail.members_of(name)
        for root in self.sets_with(rows) if len(rows) else ():
            yield "dataset", root
        for model in self._models_on("cohort", name):
            yield "model", model

    def _after(self, kind: Kind, name: str) -> Iterator[tuple[Kind, str]]:
        if kind == "cohort":
            yield from self._after_cohort(name)
        elif kind == "model":
            yield from self.after_model(name)
        elif kind == "dataset":
            for model in self._models_on("dataset", name):
                yield "model", model
            for root, path in self.certificates:
                if root == name:
                    yield "certificate", path

    # ------------------------------------------------------------------------------------- walking

    def walk(self, start: str, first: list[tuple[Kind, str]]) -> Trace:
        """Breadth first from an image or a model."""
        # An image reaches the models trained on a collection that holds it, but not the collection's other
        # images: sets are reached by the image itself, or by what a model made.
        done: dict[tuple[Kind, str], Reached] = {}
        image = start.startswith("image")
        queue: deque[tuple[Kind, str, str, int]] = deque((kind, name, start, 1) for kind, name in first)
        while queue:
            kind, name, via, steps = queue.popleft()
            if (kind, name) in done:
                continue
            done[kind, name] = Reached(kind, name, via, steps, self._detail(kind, name))
            for nearer, other in self._after(kind, name):
                own_cohort = image and kind == "cohort" and steps == 1
                if not (own_cohort and nearer == "dataset"):
                    queue.append((nearer, other, f"{kind} {name}", steps + 1))
        return Trace(start, tuple(done.values()), tuple(sorted(self.unknown)))

    def _detail(self, kind: Kind, name: str) -> str:
        if kind == "cohort" and name in self.trail.cohorts:
            cohort = self.trail.cohorts[name]
            return f"{cohort.n:,} images, {cohort.origin}"
        if kind == "model" and name in self.trail.models:
            lo, hi = self.trail.models[name].generation
            return f"its outputs are generation {lo}" + (
                "" if hi == lo else f" to {hi}" if hi else " or more"
            )
        if kind == "dataset":
            return self._set_detail(name)
        return ""

    def _set_detail(self, root: str) -> str:
        decided = []
        n = 0
        for state in self.trail.logs:
            decided += [body["status"] for _, body in state.decisions if body["dataset"] == root]
            n = next((body["n"] for _, body in state.datasets if body["root"] == root), n)
        return f"{n:,} images, decided {', '.join(dict.fromkeys(decided)) or 'nothing'}"
