"""Origins of a whole catalogue: Python runs only over images about which something is said."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genepool.detection import Judge
from genepool.errors import WorkspaceError
from genepool.origin._ancestry import Ancestry, Edges
from genepool.origin._fold import PRIOR, Settled, settle_evidence
from genepool.origin._lineage import attach, set_lineage
from genepool.origin._witnesses import attested, judged, seen
from genepool.records import Attestation, Evidence, Origin, OriginClass

if TYPE_CHECKING:
    import pyarrow as pa

    from genepool.config import Config
    from genepool.provenance import Trail
    from genepool.store import Catalogue, Workspace

__all__ = ["explain_origin", "settle"]

_LIGHT = ("uri", "sha256", "detector", "logit", "abstained")
_SAID = ("sha256", "pixel", "phash", "declared", "evidence")
_NOTHING = '["nothing is known about its origin"]'
_CACHE = 200_000


def settle(catalogue: Catalogue, workspace: Workspace, config: Config) -> pa.Table:
    """Settle the origin of every image and keep the result beside the catalogue.

    Args:
        catalogue: As scanned.
        workspace: Its logs, verdicts and calibration are read.
        config: Trust policy and detector settings.

    Returns:
        One row per image in the order of ``catalogue.table()``: ``uri, sha256, origin, tier, status, human,
        ai, p_human, lo, hi`` (null = no upper end), ``model, artist, source, style`` (null = not known),
        ``reasons`` (JSON list of sentences), ``finding`` (null, or how claims contradict the pedigree),
        ``cohort`` (null = in no registered collection). The set's pedigree travels in the schema's metadata
        (`genepool.origin.lineage_of`).

    Raises:
        IntegrityError: A log that is read does not verify.
        WorkspaceError: Rows or verdicts cannot be read.
    """
    from genepool.provenance import open_trail
    from genepool.store import Verdicts

    table = catalogue.table([name for name in _LIGHT if name in catalogue.columns])
    trail = open_trail(workspace, config, dataset=catalogue.dataset)
    with Verdicts(workspace) as verdicts:
        looks = {bytes.fromhex(digest): e for digest, e in judged(verdicts.counted()).items()}
    votes = _votes(table, workspace, config)
    uris, digests = table.column("uri"), table.column("sha256")
    result = _Result(table.num_rows, Edges(uris, digests))
    ancestry = Ancestry(trail)
    folder = _Folder(ancestry)
    at = 0
    # What is said of each image is long, and is read and let go again a batch at a time.
    for batch in catalogue.batches([name for name in _SAID if name in catalogue.columns]):
        _settle_batch(batch, at, trail, looks, votes, folder, result)
        at += batch.num_rows
    result.descend()
    found = result.table(uris, digests)
    found = attach(found, set_lineage(ancestry.graph, trail, ancestry.generations, *result.leaves()))
    catalogue.write_origins(found)
    return found


def _settle_batch(
    batch: pa.RecordBatch,
    start: int,
    trail: Trail,
    looks: Mapping[bytes, Evidence],
    votes: Mapping[int, Evidence],
    folder: _Folder,
    result: _Result,
) -> None:
    """Settle the rows of one batch, the first of which is row ``start`` of the set."""
    import pyarrow as pa

    table = pa.Table.from_batches([batch])
    digests = table.column("sha256").to_pylist()
    looks_of = table.column("phash").to_pylist() if "phash" in table.column_names else None
    claims = trail.attestations(digests, table.column("pixel").to_pylist(), looks_of)
    here = {i - start: votes[i] for i in range(start, start + len(digests)) if i in votes} if votes else {}
    texts, sidecars = (_texts(table, name) for name in ("evidence", "declared"))
    for i in _active(table, claims, digests, looks, here):
        declared = _declared(sidecars[i])
        parents = (*declared.parents, *(parent for claim in claims[i] for parent in claim.parents))
        whole = result.edges.add(start + i, parents) if parents else True
        settled = folder(texts[i] or "", claims[i], looks.get(digests[i]), here.get(i), whole)
        result.put(start + i, settled, declared, claims[i])


# ------------------------------------------------------------------------------- who has something to say


def _texts(table: pa.Table, name: str) -> Sequence[str | None]:
    if name in table.column_names:
        values: list[str | None] = table.column(name).to_pylist()
        return values
    return [None] * table.num_rows


def _said(table: pa.Table, name: str, nothing: Sequence[str]) -> NDArray[np.bool_]:
    import pyarrow as pa
    import pyarrow.compute as pc

    if name not in table.column_names:
        return np.zeros(table.num_rows, np.bool_)
    column = pc.fill_null(table.column(name), nothing[0])
    silent = pc.is_in(column, pa.array(list(nothing), column.type))
    return ~np.asarray(silent.to_numpy(zero_copy_only=False), np.bool_)


def _active(
    table: pa.Table,
    claims: Sequence[tuple[Attestation, ...]],
    digests: Sequence[bytes],
    looks: Mapping[bytes, Evidence],
    votes: Mapping[int, Evidence],
) -> Sequence[int]:
    active = _said(table, "evidence", ("", "[]")) | _said(table, "declared", ("", "{}"))
    active |= np.fromiter(map(bool, claims), np.bool_, len(claims))
    if looks:
        active |= np.fromiter((digest in looks for digest in digests), np.bool_, len(digests))
    if votes:
        active[list(votes)] = True
    found: list[int] = np.flatnonzero(active).tolist()
    return found


def _votes(table: pa.Table, workspace: Workspace, config: Config) -> Mapping[int, Evidence]:
    """Row → the detector's vote, for a calibrated detector that decided; empty otherwise."""
    if "logit" not in table.column_names:
        return {}
    judge = Judge(table, workspace, config.detection.threshold)
    logits = table.column("logit").to_numpy(zero_copy_only=False)
    models, silent = table.column("detector").to_pylist(), table.column("abstained").to_pylist()
    found: dict[int, Evidence] = {}
    for i in np.flatnonzero(np.isfinite(logits.astype(np.float64))).tolist():
        vote = seen(judge.opinion(float(logits[i]), models[i] or "", silent[i] or "", "", ""))
        if vote is not None:
            found[i] = vote
    return found


# --------------------------------------------------------------------------------------- one image


@dataclass(frozen=True, slots=True)
class _Declared:
    """What the sidecar says beside the origin; the origin itself came in as evidence."""

    artist: str | None = None
    source: str | None = None
    style: str | None = None
    parents: tuple[str, ...] = ()


@functools.lru_cache(maxsize=65536)
def _parse_declared(text: str) -> _Declared:
    import orjson

    try:
        data = orjson.loads(text)
    except orjson.JSONDecodeError:
        return _Declared()
    if not isinstance(data, dict):
        return _Declared()
    parents = data.get("parents")
    named = parents if isinstance(parents, list) else [parents]
    artist, source, style = (
        word if isinstance(word, str) and word else None
        for word in map(data.get, ("artist", "source", "style"))
    )
    return _Declared(
        artist,
        source,
        style,
        parents=tuple(parent for parent in named if isinstance(parent, str) and parent),
    )


def _declared(text: str | None) -> _Declared:
    return _parse_declared(text) if text else _Declared()


class _Folder:
    """Folds one image's evidence; images about which the same is said are folded once."""

    def __init__(self, ancestry: Ancestry) -> None:
        self._ancestry = ancestry
        self._done: dict[tuple[Any, ...], Settled] = {}

    def __call__(
        self,
        text: str,
        claims: tuple[Attestation, ...],
        look: Evidence | None,
        vote: Evidence | None,
        whole: bool,
    ) -> Settled:
        # Where an entry stands in its log does not matter here, and would make every image a new case.
        said = tuple(
            (c.origin, c.key, c.trusted, c.matched_by, c.cohort, c.model, c.generation, c.log) for c in claims
        )
        key = (text, said, look, vote, whole)
        if (known := self._done.get(key)) is not None:
            return known
        marks = _marks(text)
        claims = tuple(map(self._ancestry.current, claims))
        evidence = [e for e in (*marks, *map(attested, claims), look, vote) if e is not None]
        ancestry = self._ancestry.of(claims, marks)
        if not whole:
            # A parent that nobody can look at may be of any generation.
            ancestry = (ancestry[0] if ancestry else 1, None)
        settled = settle_evidence(evidence, prior=PRIOR, ancestry=ancestry)
        if len(self._done) < _CACHE:
            self._done[key] = settled
        return settled


@functools.lru_cache(maxsize=65536)
def _marks(text: str) -> tuple[Evidence, ...]:
    import orjson

    if text in ("", "[]"):
        return ()
    try:
        return tuple(Evidence.from_json(item) for item in orjson.loads(text))
    except (orjson.JSONDecodeError, TypeError, ValueError, AttributeError) as error:
        raise WorkspaceError(
            f"catalogue: expected a JSON list of evidence, found {text[:80]!r}: {error}",
            hint="genepool scan PATH --rescan reads the images again",
        ) from error


# -------------------------------------------------------------------------------------- all images


@dataclass(slots=True)
class _Result:
    """The columns, filled with "nothing is known", then row by row where something is."""

    n: int
    edges: Edges
    origin: NDArray[Any] = field(init=False)
    tier: NDArray[Any] = field(init=False)
    status: NDArray[Any] = field(init=False)
    human: NDArray[np.bool_] = field(init=False)
    ai: NDArray[np.bool_] = field(init=False)
    p_human: NDArray[np.float64] = field(init=False)
    lo: NDArray[np.int32] = field(init=False)
    hi: NDArray[np.int32] = field(init=False)
    words: dict[str, NDArray[Any]] = field(init=False)
    cohort: NDArray[Any] = field(init=False)
    reasons: NDArray[Any] = field(init=False)

    def __post_init__(self) -> None:
        n = self.n
        self.origin, self.tier, self.status = (np.full(n, "unknown", object) for _ in range(3))
        self.human, self.ai = np.zeros(n, np.bool_), np.zeros(n, np.bool_)
        self.p_human = np.full(n, PRIOR)
        self.lo, self.hi = np.zeros(n, np.int32), np.full(n, -1, np.int32)
        self.words = {
            name: np.full(n, None, object) for name in ("model", "artist", "source", "style", "finding")
        }
        self.cohort = np.full(n, None, object)
        self.reasons = np.full(n, None, object)

    def put(self, i: int, settled: Settled, declared: _Declared, claims: Sequence[Attestation]) -> None:
        found = settled.origin
        self.origin[i], self.tier[i], self.status[i] = found.origin.value, found.tier, found.status
        self.human[i], self.ai[i], self.p_human[i] = found.human, found.ai, found.p_human
        self.lo[i], self.hi[i] = found.lo, -1 if found.hi is None else found.hi
        artist = next((claim.artist for claim in claims if claim.trusted and claim.artist), declared.artist)
        words = (found.model or None, artist, declared.source, declared.style, settled.finding or None)
        for name, word in zip(self.words, words, strict=True):
            self.words[name][i] = word
        side = (claim for claim in claims if OriginClass(claim.origin).is_ai == found.ai)
        self.cohort[i] = next((claim.cohort for claim in side if claim.cohort), None)
        self.reasons[i] = found.reasons

    def leaves(self) -> tuple[Counter[str], int, int]:
        """Images by the cohort or model that they belong to; human ones without a cohort; all."""
        counts: Counter[str] = Counter()
        alone = 0
        model = self.words["model"]
        for i in np.flatnonzero(self.human | self.ai).tolist():
            name = (model[i] if self.ai[i] else None) or self.cohort[i]
            if name:
                counts[name] += 1
            elif self.human[i]:
                alone += 1
        return counts, alone, self.n

    def descend(self) -> None:
        """Carry generations from parents to children, and dispute human claims with machine ancestors."""
        if not len(self.edges):
            return
        before = self.hi.copy()
        lo, hi, looped = self.edges.settle(self.lo, self.hi, self.ai)
        for i in np.flatnonzero(self.human & ((lo > 0) | looped)).tolist():
            why = "it is its own ancestor" if looped[i] else f"its parents are of generation {lo[i]} or later"
            self._change(i, OriginClass.UNKNOWN, "disputed", f"disputed: a trusted human claim, but {why}")
            lo[i], hi[i] = 0, -1
        for i in np.flatnonzero(self.ai & (((before >= 0) & (lo > before)) | looped)).tolist():
            text = "the parents that are named form a loop"
            if not looped[i]:
                text = f"claims or model give {before[i]}, but the parents make it at least {lo[i]}"
            self.words["finding"][i] = self.words["finding"][i] or text
            self.reasons[i] = (f"generation: {text}", *(self.reasons[i] or ()))
        # An edit of a machine-made image holds what a machine made; that is believed from anybody.
        for i in np.flatnonzero((lo > 0) & (self.status == "unknown")).tolist():
            self._change(i, OriginClass.MIXED, "settled", f"made from images of generation {lo[i]} or later")
            self.tier[i] = "declared"
        # Human work stays human whatever is not known about its parents.
        hi[self.human] = 0
        self.lo, self.hi = lo, hi

    def _change(self, i: int, kind: OriginClass, status: str, reason: str) -> None:
        self.origin[i], self.status[i] = kind.value, status
        self.human[i], self.ai[i] = False, kind.is_ai
        self.p_human[i] = min(self.p_human[i], 0.5)
        self.reasons[i] = (reason, *(self.reasons[i] or ()))

    def table(self, uris: pa.ChunkedArray, digests: pa.ChunkedArray) -> pa.Table:
        import orjson
        import pyarrow as pa

        @functools.lru_cache(maxsize=65536)
        def words(sentences: tuple[str, ...] | None) -> str:
            return orjson.dumps(sentences).decode() if sentences else _NOTHING

        reasons = list(map(words, self.reasons.tolist()))
        text = pa.string()
        return pa.table(
            {
                "uri": uris,
                "sha256": digests,
                "origin": pa.array(self.origin, text),
                "tier": pa.array(self.tier, text),
                "status": pa.array(self.status, text),
                "human": pa.array(self.human),
                "ai": pa.array(self.ai),
                "p_human": pa.array(self.p_human),
                "lo": pa.array(self.lo, pa.int32()),
                "hi": pa.array(self.hi, pa.int32(), mask=self.hi < 0),
                **{n: pa.array(self.words[n], text) for n in ("model", "artist", "source", "style")},
                "reasons": pa.array(reasons, text),
                "finding": pa.array(self.words["finding"], text),
                "cohort": pa.array(self.cohort, text),
            }
        )


def explain_origin(row: Mapping[str, Any]) -> Origin:
    """One row of `settle`'s table as an `Origin`.

    Args:
        row: As from ``table.to_pylist()``.
    """
    import orjson

    unknown = Origin(OriginClass.UNKNOWN, "unknown", "unknown", False, False, PRIOR, 0, None)
    return replace(
        unknown,
        origin=OriginClass(row["origin"]),
        tier=row["tier"],
        status=row["status"],
        human=bool(row["human"]),
        ai=bool(row["ai"]),
        p_human=float(row["p_human"]),
        lo=int(row["lo"]),
        hi=None if row["hi"] is None else int(row["hi"]),
        model=row["model"] or "",
        artist=row["artist"] or "",
        reasons=tuple(orjson.loads(row["reasons"])) if row["reasons"] else (),
    )
