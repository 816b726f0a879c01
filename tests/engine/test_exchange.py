"""Stages on disk: joins and histograms are those of DuckDB, in worker processes or not, in bounded pieces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from genepool.engine import (
    ByKey,
    CountRows,
    Joined,
    LocalEngine,
    SumCounts,
    exchange,
    fixed,
    partition_of,
    write_rows,
)
from genepool.errors import EngineError
from support.probes import AbortingSpread


def inline() -> LocalEngine:
    return LocalEngine(inline=True)


def written(folder: Path, name: str, table: pa.Table, size: int) -> list[Path]:
    folder.mkdir(exist_ok=True)
    paths = []
    for at in range(0, table.num_rows, size):
        paths.append(folder / f"{name}-{at}.parquet")
        write_rows(paths[-1], table.slice(at, size))
    return paths


def tables(seed: int = 1) -> tuple[pa.Table, pa.Table]:
    rng = np.random.default_rng(seed)
    digests = [bytes(row) for row in rng.integers(0, 256, (300, 32), dtype=np.uint8)]
    left = pa.table(
        {
            "key": pa.array([digests[i] for i in rng.integers(0, 300, 1000)], pa.binary(32)),
            "number": rng.integers(0, 1 << 40, 1000),
        }
    )
    right = pa.table(
        {
            "key": pa.array([digests[i] for i in rng.permutation(300)[:200]], pa.binary(32)),
            "artist": pa.array([f"Ärtist {i % 7}" if i % 11 else None for i in range(200)]),
        }
    )
    return left, right


@pytest.mark.parametrize(("how", "sql"), [("inner", "JOIN"), ("left outer", "LEFT JOIN")])
def test_join_is_that_of_duckdb(tmp_path: Path, how: str, sql: str) -> None:
    left, right = tables()
    found = exchange(
        inline(),
        tmp_path / "stage",
        {
            "left": written(tmp_path / "in", "left", left, 300),
            "right": written(tmp_path / "in", "right", right, 70),
        },
        ByKey(["key"], 5),
        Joined(["key"], how, left.schema, right.schema),
        5,
    )
    assert len(found) == 5
    joined = pa.concat_tables([pq.read_table(path) for path in found])
    expected = duckdb.sql(
        f"SELECT l.key, number, artist FROM 'left' l {sql} 'right' r USING (key)".replace(
            "'left'", "left_"
        ).replace("'right'", "right_"),
        connection=connected(left, right),
    ).fetchall()
    assert sorted((tuple(r.values()) for r in joined.to_pylist()), key=str) == sorted(expected, key=str)


def connected(left: pa.Table, right: pa.Table) -> Any:
    connection = duckdb.connect()
    connection.register("left_", left)
    connection.register("right_", right)
    return connection


def test_histogram_is_that_of_duckdb_and_no_key_is_split(tmp_path: Path) -> None:
    left, right = tables(2)
    rows = left.join(right, "key", join_type="left outer").select(["artist", "key"])
    found = exchange(
        LocalEngine(1),
        tmp_path / "stage",
        {"rows": written(tmp_path / "in", "rows", rows, 130)},
        CountRows(["artist"], 4),
        SumCounts(["artist"]),
        4,
    )
    counts = [row for path in found for row in pq.read_table(path).to_pylist()]
    expected = duckdb.sql("SELECT artist, count(*) FROM rows GROUP BY artist").fetchall()
    assert sorted(((r["artist"], r["n"]) for r in counts), key=str) == sorted(expected, key=str)
    assert not (tmp_path / "stage" / "between").exists()


def test_partitions_meet_equal_values_and_are_even() -> None:
    rng = np.random.default_rng(3)
    digests = rng.integers(0, 256, (20_000, 32), dtype=np.uint8)
    column = pa.array([bytes(d) for d in digests], pa.binary(32))
    parts = partition_of(column, 16)
    assert np.array_equal(parts, partition_of(digests, 16))
    assert np.array_equal(parts[5:99], partition_of(column.slice(5, 94), 16))
    # Chi-square with 15 degrees of freedom: 37.7 is its 0.999 quantile.
    assert ((np.bincount(parts, minlength=16) - 1250) ** 2 / 1250).sum() < 37.7
    keys = partition_of(np.arange(65_536), 7)  # neighbours as band values are
    assert ((np.bincount(keys, minlength=7) - 65_536 / 7) ** 2 / (65_536 / 7)).sum() < 22.5  # 6 degrees
    words = pa.chunked_array([["a", None, "b"], ["b", "a"]])
    found = partition_of(words, 1000)
    assert found[0] == found[4] != found[2] == found[3]
    assert found[1] == 0
    assert fixed(column.slice(3, 2)).tobytes() == digests[3:5].tobytes()


class Twice:
    def __call__(self, name: str, table: pa.Table) -> Iterator[tuple[pa.Table, np.ndarray]]:
        yield table, np.zeros(table.num_rows, np.int64)
        yield table, np.full(table.num_rows, 2)


class Rows:
    def __call__(self, partition: int, tables: Mapping[str, pa.Table]) -> pa.Table:
        return pa.table({"partition": [partition], "n": [tables["rows"].num_rows]})


def test_rows_may_go_to_several_partitions_and_empty_ones_are_left_out(tmp_path: Path) -> None:
    paths = written(tmp_path / "in", "rows", tables()[0], 400)
    found = exchange(inline(), tmp_path / "stage", {"rows": paths}, Twice(), Rows(), 3)
    assert [pq.read_table(p).to_pylist()[0] for p in found] == [
        {"partition": 0, "n": 1000},
        {"partition": 2, "n": 1000},
    ]


def test_a_file_that_kills_its_worker_ends_the_stage_with_its_name(tmp_path: Path) -> None:
    paths = written(tmp_path / "in", "rows", tables()[0], 500)
    with pytest.raises(EngineError, match=r"rows-0\.parquet: cannot be processed.*SIGABRT"):
        exchange(LocalEngine(1), tmp_path / "stage", {"rows": paths}, AbortingSpread(), Rows(), 3)


def test_a_partition_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    paths = written(tmp_path / "in", "rows", tables()[0], 1000)
    with pytest.raises(EngineError, match="each 0 to 1"):
        exchange(inline(), tmp_path / "stage", {"rows": paths}, Twice(), Rows(), 2)


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="cannot be written"):
        write_rows(tmp_path / "nowhere" / "x.parquet", tables()[0])
