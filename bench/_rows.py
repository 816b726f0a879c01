"""A large catalogue out of a small one, without decoding anything: for what comes after the scan.

Each copy of the small set is a shard of its own whose files differ from the others' by a number in a
comment: their SHA-256 are right. Pixel digests and perceptual hashes of a copy are those of the small set
with one random mask laid over them: hashes that lie close together stay as close, and those of different
copies lie as far apart as those of different pictures. Artists are of one copy only, models of all. Vectors
repeat.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

UNIT = 8192
"""Rows of a part, as after the scan's compaction."""


def grow(small: str, large: str, n: int, seed: int = 7) -> None:
    """Write the shards and the catalogue of ``n`` rows beside them.

    Args:
        small: A scanned set of one shard, its workspace beside it (``<small>.genepool``).
        large: Folder to make.
        n: Rows; rounded up to whole copies.
        seed: Of the masks.
    """
    from genepool import dataset, store
    from genepool.store._listing import ListingWriter, read_listing

    known = dataset.open(small)
    space = store.workspace_for(known, small + ".genepool")
    listing = read_listing(space, known)
    catalogue = store.Catalogue(known, space, listing)
    table = catalogue.table()
    vectors = {name: np.concatenate(list(catalogue.vectors(name))).astype("<f2") for name in catalogue.dims}
    copies = -(-n // table.num_rows)
    (shard,) = Path(small).glob("*.tar")
    Path(large).mkdir()
    offsets = np.array([int(p.rpartition("::")[2]) for p in table.column("place").to_pylist()], np.int64)
    sizes, whole = table.column("size").to_numpy(), np.frombuffer(shard.read_bytes(), np.uint8).copy()
    for copy in range(copies):
        whole[offsets[:, None] + np.arange(6, 14)] = np.frombuffer(f"{copy:08}".encode(), np.uint8)
        (Path(large) / f"{copy:05}.tar").write_bytes(whole.tobytes())
    found = dataset.open(large)
    place = store.workspace_for(found, large + ".genepool")
    folder = store.dataset_folder(place, found)
    writer = ListingWriter(place, folder, found.uri, listing.plan, "0" * 64)
    names: list[str] = []
    for copy in range(copies):
        rng = np.random.default_rng((seed, copy))
        path = Path(large).resolve() / f"{copy:05}.tar"
        core, beside = _copy(table, copy, rng, listing.columns), _packed(vectors)
        core = _placed(core, path, offsets, sizes)
        uris = [f"{copy:05}.tar::{uri.partition('::')[2]}" for uri in table.column("uri").to_pylist()]
        for at in range(0, len(uris), UNIT):
            name = f"{listing.plan[:8]}-{len(names):016x}"
            store._parts.write_part(place.parts, name, core.slice(at, UNIT), beside.slice(at, UNIT), 1)
            names.append(name)
            here = uris[at : at + UNIT]
            part = np.full(len(here), len(names) - 1, np.int32)
            row = np.arange(len(here), dtype=np.int32)
            mark = rng.integers(0, 2**63, len(here), dtype=np.uint64)
            writer.add(here, part, row, np.ones(len(here), bool), mark)
    writer.finish(names, dict(listing.columns), dict(listing.vectors), [])


def _placed(core, path: Path, offsets: np.ndarray, sizes: np.ndarray):
    """The rows with their places in one shard, and the digests of the bytes there."""
    import pyarrow as pa

    data = path.read_bytes()
    found = {
        "place": [f"{path}::{at}" for at in offsets.tolist()],
        "sha256": [
            hashlib.sha256(data[at : at + size]).digest()
            for at, size in zip(offsets.tolist(), sizes.tolist(), strict=True)
        ],
    }
    for name, values in found.items():
        at = core.schema.get_field_index(name)
        core = core.set_column(at, name, pa.array(values, core.schema.field(name).type))
    return core


def _copy(table, copy: int, rng: np.random.Generator, columns):
    import pyarrow as pa
    import pyarrow.compute as pc

    from genepool.store._columns import arrow_type
    from genepool.store._parts import CORE_COLUMNS

    found = {"key": _binary(rng.integers(0, 256, (table.num_rows, 16), dtype=np.uint8))}
    for name, kind in {**CORE_COLUMNS, **columns}.items():
        if name == "key":
            continue
        column = table.column(name).combine_chunks()
        if name in ("pixel", "phash"):
            raw = np.frombuffer(column.buffers()[1], np.uint8, len(column) * 32, column.offset * 32)
            column = _binary(raw.reshape(-1, 32) ^ rng.integers(0, 256, 32, dtype=np.uint8))
        elif name == "declared":
            column = pc.replace_substring(column, '"artist 000', f'"artist {copy:03}')
        found[name] = column.cast(arrow_type(kind))
    return pa.table(found)


def _packed(vectors: dict[str, np.ndarray]):
    import pyarrow as pa

    return pa.table({name: _binary(np.ascontiguousarray(v).view(np.uint8)) for name, v in vectors.items()})


def _binary(rows: np.ndarray):
    import pyarrow as pa

    rows = np.ascontiguousarray(rows)
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(rows.shape[1]), len(rows), [None, pa.py_buffer(rows)]
    )
