"""Generations of models and images, from the logs' records and from images named as parents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from genepool.errors import UsageError
from genepool.lineage import UNBOUNDED, Interval, Pedigree, settle_generations
from genepool.records import Attestation, Evidence, OriginClass

if TYPE_CHECKING:
    import pyarrow as pa

    from genepool.provenance import Trail

__all__ = ["Ancestry", "Edges", "pedigree"]


def pedigree(trail: Trail) -> Pedigree:
    """The cohorts and models of all logs as a pedigree.

    A collection of human work becomes founders, as many as it has images; a model's outputs become the model;
    machine-made cohorts of no known model have unknown ancestry. Records that would close a loop cannot come
    from honest logs: such a model's ancestry is unknown.
    """
    found = Pedigree()
    for name, cohort in trail.cohorts.items():
        if name in trail.models:
            continue  # outputs filed under their model's name are the model's outputs
        if OriginClass(cohort.origin).is_ai:
            if cohort.model and cohort.model != name:
                found.add_dataset(name, cohort.model)
            else:
                found.add_model(name, None)
        elif cohort.origin != OriginClass.UNKNOWN and cohort.trusted:
            found.add_founders(name, max(1, cohort.n))
    roots = {root: cohort.name for cohort in trail.cohorts.values() for root in cohort.roots}
    for name, model in trail.models.items():
        parts = {roots.get(ref, ref): share for ref, share in model.trained_on}
        try:
            found.add_model(name, parts or None, model.base or None)
        except UsageError:
            found.add_model(name, None)
    return found


class Ancestry:
    """What the logs know about where machine-made images come from.

    Args:
        trail: The logs.

    Attributes:
        graph: Cohorts and models as a pedigree.
    """

    def __init__(self, trail: Trail) -> None:
        self.graph = graph = pedigree(trail)
        self._models: dict[str, Interval] = {}
        self._keys: dict[str, str] = {}
        for name, record in trail.models.items():
            lo, hi = record.generation
            lowest = max(lo, graph.generation(name)[0], 1)
            self._models[name] = (lowest, None if hi is None else max(hi, lowest))
            self._keys[name] = record.key if record.trusted else ""

    @property
    def generations(self) -> Mapping[str, Interval]:
        """Registered model → generation of its outputs, as it is believed."""
        return self._models

    def of(self, claims: Sequence[Attestation], evidence: Iterable[Evidence]) -> Interval | None:
        """Generation of an image by the models that are named for it; None where no registered one is.

        A model that only the file names gives the lower end: who strips or writes metadata must not choose
        an early model for himself.
        """
        attested = [claim for claim in claims if claim.model in self._models]
        named = [e.model for e in evidence if e.model in self._models and e.kind != "detector"]
        lows = [self._models[name][0] for name in (*(claim.model for claim in attested), *named)]
        if not lows:
            return None
        highs = [self._models[claim.model][1] if self._believed(claim) else None for claim in attested]
        known = [hi for hi in highs if hi is not None]
        top = max(known) if known and len(known) == len(highs) else None
        return max(lows), None if top is None else max(top, *lows)

    def current(self, claim: Attestation) -> Attestation:
        """The claim, without its upper end where its model's ancestry is not known any more.

        Outputs are attested with the generation that follows from the model's record on that day. When what
        the model was trained on is withdrawn later, that number stands on nothing.
        """
        ends = self._models.get(claim.model)
        if ends is None or ends[1] is not None or claim.generation is None or claim.generation[1] is None:
            return claim
        return replace(claim, generation=(claim.generation[0], None))

    def _believed(self, claim: Attestation) -> bool:
        """Whether it may say which model made an image: a stranger's claim comes without an upper end."""
        bounded = claim.generation is not None and claim.generation[1] is not None
        same_key = bool(claim.key) and claim.key == self._keys[claim.model]
        return claim.trusted and claim.matched_by != "phash" and (bounded or same_key)


class Edges:
    """Images of one set named as parents of others, by digest or by uri.

    Args:
        uris: Column of the uris of all images.
        digests: Column of their SHA-256; both are looked at only when the first parent is named.
    """

    def __init__(self, uris: pa.ChunkedArray, digests: pa.ChunkedArray) -> None:
        self._uris = uris
        self._digests = digests
        self._index: Mapping[str, int] | None = None
        self._pairs: list[tuple[int, int]] = []

    def add(self, child: int, parents: Iterable[str]) -> bool:
        """Note an image's parents; returns whether all of them are in the set."""
        whole = True
        for parent in parents:
            if self._index is None:
                index = {uri: i for i, uri in enumerate(self._uris.to_pylist())}
                index.update((digest.hex(), i) for i, digest in enumerate(self._digests.to_pylist()))
                self._index = index
            place = self._index.get(parent.removeprefix("sha256:"))
            if place is None:
                whole = False
            else:
                self._pairs.append((child, place))
        return whole

    def __len__(self) -> int:
        return len(self._pairs)

    def settle(
        self, lo: NDArray[np.int32], hi: NDArray[np.int32], ai: NDArray[np.bool_]
    ) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.bool_]]:
        """Generations carried along the edges (`settle_generations`); ``hi`` −1 means no upper end."""
        if not self._pairs:
            return lo, hi, np.zeros(len(lo), np.bool_)
        pairs = np.array(self._pairs, np.int64)
        low, high, looped = settle_generations(
            lo, np.where(hi < 0, UNBOUNDED, hi), pairs[:, 0], pairs[:, 1], ai.astype(np.int64)
        )
        return low, np.where(high == UNBOUNDED, -1, high).astype(np.int32), looped
