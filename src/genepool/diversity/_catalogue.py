"""What the measures need of a catalogue: vectors, verified humans, copies, labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from genepool.diversity._copies import Copies, find_copies
from genepool.errors import MeasureError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from genepool.config import Config
    from genepool.diversity._panel import Panel
    from genepool.diversity._partitioned import Partitioned
    from genepool.store import Catalogue

__all__ = ["catalogue_copies", "catalogue_labels", "duplicate_labels", "style_vectors", "verified_human"]

_PATIENCE = 3600.0
_RESCAN = "genepool scan PATH --rescan"


def style_vectors(
    catalogue: Catalogue, panel: Panel
) -> tuple[Callable[[], Iterator[NDArray[np.float32]]], NDArray[np.bool_]]:
    """A catalogue's style vectors, to be read as often as needed, and which images have none.

    An image on which the embedder failed gets a place far off the panel's support: it counts, as no style.

    Raises:
        MeasureError: No image has a vector, or some are of another embedder than the panel's.
    """
    names = catalogue.table(["embedder"]).column("embedder").to_pylist()
    lost = np.array([name is None for name in names], bool)
    if lost.all():
        raise MeasureError(
            f"index: expected vectors of {panel.embedder}, found none for {len(names)} images", hint=_RESCAN
        )
    for name in sorted({str(name) for name in names if name is not None}):
        panel.check_embedder(name)
    nowhere = (panel.mean + 1e3).astype(np.float32)

    def start() -> Iterator[NDArray[np.float32]]:
        at = 0
        for part in catalogue.vectors("style"):
            gone = lost[at : at + len(part)]
            at += len(part)
            if gone.any():
                part[gone] = nowhere
            yield part

    return start, lost


def verified_human(catalogue: Catalogue) -> NDArray[np.bool_] | None:
    """Which images are settled as verified human, in the catalogue's order; None where nothing is settled."""
    origins = catalogue.origins()
    if origins is None:
        return None
    flags: NDArray[np.bool_] = np.asarray(origins.column("human").to_numpy(zero_copy_only=False), bool)
    if len(flags) != catalogue.n:
        raise MeasureError(
            f"origins of {len(flags)} images beside a catalogue of {catalogue.n}",
            hint="run the check again: genepool check PATH",
        )
    return flags


def catalogue_copies(
    catalogue: Catalogue,
    human: NDArray[np.bool_] | None = None,
    *,
    by_vector: bool = False,
    config: Config | None = None,
) -> Copies:
    """Copies among a catalogue's images: by bytes, pixels, looks and, where asked, copy vector.

    Args:
        catalogue: Live rows of one dataset.
        human: ``(n,)`` verified human images, which are kept before others; None: as settled.
        by_vector: Compare the embedder's copy vectors too. It finds crops and turned copies that hashes miss,
            and takes some look-alikes for copies (docs/model-card-embedder.md): for looking, not for a gate.
        config: Above ``engine.partition_above`` images hashes and digests are compared partition by partition
            by the engine that it names; None: in memory, however many there are.

    Raises:
        MissingExtra: More than 20,000 copy vectors without faiss.
    """
    table = catalogue.table(["phash", "sha256", "pixel", "width", "height", "size"])
    columns = {name: _digests(table.column(name)) for name in ("phash", "sha256", "pixel")}
    wide, high, size = (
        table.column(name).to_numpy().astype(np.int64) for name in ("width", "height", "size")
    )
    vectors = None
    if by_vector and "copy" in catalogue.dims:
        parts = list(catalogue.vectors("copy"))
        if parts:
            vectors = np.nan_to_num(np.concatenate(parts), nan=0.0)
    return find_copies(
        columns["phash"],
        sha256=columns["sha256"],
        pixel=columns["pixel"],
        vectors=vectors,
        human=verified_human(catalogue) if human is None else human,
        area=wide * high,
        size=size,
        by=_partitioned(catalogue, config),
    )


def _partitioned(catalogue: Catalogue, config: Config | None) -> Partitioned | None:
    """Where and by whom copies are found among very many images; None: here, in memory."""
    if config is None or catalogue.n <= config.engine.partition_above:
        return None
    from genepool.diversity._partitioned import Partitioned
    from genepool.engine import configured

    # A partition says nothing until it is done: what is slow there is not stuck.
    engine = configured(config, timeout=max(config.scan.timeout, _PATIENCE))
    return Partitioned(engine, catalogue.workspace.parts.parent)


def _digests(column: Any) -> NDArray[np.uint8]:
    """A column of 32-byte values as ``(n, 32)`` uint8, without a Python object each."""
    array = column.combine_chunks()
    if array.null_count:
        raise MeasureError(f"copies: {array.null_count} of {len(array)} images have no digest", hint=_RESCAN)
    raw = array.buffers()[1]
    return np.frombuffer(raw or b"", np.uint8, 32 * len(array), 32 * array.offset).reshape(-1, 32)


def duplicate_labels(catalogue: Catalogue) -> NDArray[np.int64]:
    """Cluster of copies of each of a catalogue's images, in its order."""
    return catalogue_copies(catalogue).labels


def catalogue_labels(catalogue: Catalogue, column: str) -> list[str]:
    """What the sidecar (or the settled origin) says of each image in a column, "" where nothing.

    Args:
        catalogue: Live rows of one dataset.
        column: ``artist``, ``style``, ``source``, ``model`` …
    """
    import orjson

    origins = catalogue.origins()
    if origins is not None and column in origins.column_names and origins.num_rows == catalogue.n:
        return _shared(origins.column(column), lambda value: value)

    def stated(text: str) -> str:
        found = orjson.loads(text).get(column) if text else None
        return found if isinstance(found, str) else ""

    return _shared(catalogue.table(["declared"]).column("declared"), stated)


def _shared(values: Any, word: Callable[[str], str]) -> list[str]:
    """A word for each value of a column, "" where it is null; equal values share one string."""
    import pyarrow as pa

    encoded = values.cast(pa.string()).combine_chunks().dictionary_encode()
    words = [word(text) for text in encoded.dictionary.to_pylist()]
    return [words[i] if i >= 0 else "" for i in encoded.indices.fill_null(-1).to_pylist()]
