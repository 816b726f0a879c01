"""The random order in which unverified images are shown: uniform, without replacement, repeatable."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from genepool.store import SKETCH, Draw, ReviewRecord

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Population", "drawn", "order", "outputs_of", "population_of", "truths_of"]


@dataclass(frozen=True, slots=True)
class Population:
    """The unverified images of a set.

    Attributes:
        digest: SHA-256 (hex) over their digests in the catalogue's order: what a draw is bound to.
        rows: ``(n,)`` their rows in the table of origins.
        sha256: Their digests as an Arrow array, in the same order.
        sketch: The smallest of these digests; see `genepool.store.same_set`.
    """

    digest: str
    rows: NDArray[np.int64]
    sha256: pa.Array
    sketch: bytes = b""

    @property
    def n(self) -> int:
        """How many images: files of equal bytes count each."""
        return len(self.rows)

    def at(self, place: int) -> str:
        """The digest (hex) of one of them."""
        digest: bytes = self.sha256[place].as_py()
        return digest.hex()


def population_of(origins: pa.Table) -> Population:
    """The images of which it is verified neither that people nor that machines made them.

    Plots and fractals (``algorithmic``) are settled as well: they never count as human.

    Args:
        origins: As `genepool.origin.settle` gives them.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    settled = pc.or_(
        pc.or_(origins.column("human"), origins.column("ai")),
        pc.equal(origins.column("origin"), "algorithmic"),
    )
    rows = np.flatnonzero(~np.asarray(settled.to_numpy(zero_copy_only=False), np.bool_)).astype(np.int64)
    column = origins.column("sha256").take(pa.array(rows)).combine_chunks()
    raw = column.cast(pa.binary(32)) if column.type != pa.binary(32) else column
    buffer = raw.buffers()[1]
    data = memoryview(b"") if buffer is None else memoryview(buffer)[raw.offset * 32 :][: len(raw) * 32]
    return Population(sha256(data).hexdigest(), rows, raw, _sketch(data))


def _sketch(data: memoryview) -> bytes:
    """The smallest distinct digests, ascending."""
    table = np.frombuffer(data, ">u8").reshape(-1, 4)
    # Equal files share a digest; there are few of them, so twice as many candidates hold enough distinct
    # ones.
    wanted = min(len(table), 2 * SKETCH)
    chosen = np.argpartition(table[:, 0], wanted - 1)[:wanted] if wanted else np.zeros(0, np.int64)
    smallest = sorted({table[i].tobytes() for i in chosen.tolist()})
    return b"".join(smallest[:SKETCH])


def order(seed: str, n: int) -> NDArray[np.int64]:
    """A uniformly random order of ``n`` things that anybody can compute again from the seed.

    Each thing gets a 64-bit key from the raw stream of PCG64 (M. E. O'Neill, HMC-CS-2014-0905), whose stream
    numpy keeps stable between versions, and things are sorted by key; equal keys (probability below 3e-8 for
    a million) keep their order.

    Args:
        seed: Hex digits.
        n: At least 0.

    Returns:
        ``(n,)``: the thing at each position.
    """
    keys = np.random.PCG64(int(seed, 16)).random_raw(n)
    return np.argsort(np.asarray(keys, np.uint64), kind="stable").astype(np.int64)


def drawn(record: ReviewRecord, population: Population, dataset: str, at: float, scores: str = "") -> Draw:
    """The draw over a population: the recorded one, or a new one with a fresh seed from the system.

    The same images always have the same draw, so nobody can draw again until the order pleases. Who changes
    the set can; each further draw of a set may spend less of alpha (`genepool.prevalence.alpha_share`).

    Args:
        record: The workspace's review file.
        population: The images.
        dataset: Where the set lies.
        at: Unix seconds.
        scores: Digest of the scores that the audit may use.
    """
    return record.draw(
        population.digest,
        secrets.token_hex(16),
        population.n,
        at,
        dataset,
        sketch=population.sketch,
        scores=scores,
    )


def truths_of(origins: pa.Table, seed: str, limit: int = 400) -> dict[str, str]:
    """Images that may serve as controls, digest → ``human`` or ``ai``: verified by key, chain or mark.

    Args:
        origins: As `genepool.origin.settle` gives them.
        seed: Which ones, where there are more than enough.
        limit: At most so many of each.
    """
    import pyarrow as pa

    found: dict[str, str] = {}
    digests = origins.column("sha256")
    for truth in ("human", "ai"):
        mask = np.asarray(origins.column(truth).to_numpy(zero_copy_only=False), np.bool_)
        rows = np.flatnonzero(mask)
        chosen = rows[order(seed, len(rows))[:limit]]
        for digest in digests.take(pa.array(chosen)).to_pylist():
            found.setdefault(digest.hex(), truth)
    return found


def outputs_of(origins: pa.Table, seed: str, each: int) -> dict[str, str]:
    """A random sample of each known model's outputs in the set, digest → model: for a checkpoint.

    Args:
        origins: As `genepool.origin.settle` gives them.
        seed: Which ones.
        each: So many of each model, or all that there are.
    """
    if each < 1 or not {"model", "ai"} <= set(origins.column_names):
        return {}
    ai = np.asarray(origins.column("ai").to_numpy(zero_copy_only=False), np.bool_)
    rows = np.flatnonzero(ai)
    models, digests = (origins.column(name).take(rows).to_pylist() for name in ("model", "sha256"))
    found: dict[str, str] = {}
    taken: dict[str, int] = {}
    for i in order(seed, len(rows)).tolist():
        model, digest = models[i], digests[i].hex()
        if model and digest not in found and taken.get(model, 0) < each:
            found[digest] = str(model)
            taken[model] = taken.get(model, 0) + 1
    return found
