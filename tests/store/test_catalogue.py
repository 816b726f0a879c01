"""The catalogue: order, batches, vectors, queries, origins, root."""

from __future__ import annotations

import errno
import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from genepool.errors import UsageError
from genepool.store import Catalogue, _catalogue, _views, inspect, merkle_root
from genepool.store._rownumbers import joins_by_row, same_rows
from support.probes import MeanProbe
from support.scans import encoded, fill, picture, scanned, use_probes


@pytest.fixture
def catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Catalogue:
    use_probes(monkeypatch, MeanProbe())
    folder = fill(tmp_path / "set", 21)
    (folder / "cut.jpg").write_bytes(encoded(picture(1))[:600])
    # Three scans leave rows of one dataset in parts of different ages.
    for name in ("000.jpg", "sub/003.jpg"):
        scanned(folder, tmp_path / "w")
        (folder / name).write_bytes(encoded(picture(50), quality=80))
    return scanned(folder, tmp_path / "w")


def test_batches_are_the_table(catalogue: Catalogue) -> None:
    table = catalogue.table()
    for size in (1, 4, 21, 1000):
        batches = list(catalogue.batches(size=size))
        assert all(batch.num_rows <= size for batch in batches)
        assert pa.Table.from_batches(batches).equals(table)
    chosen = catalogue.table(["width", "uri"])
    assert chosen.column_names == ["width", "uri"]
    assert chosen.column("uri").equals(table.column("uri"))
    assert table.column_names == list(catalogue.columns)
    assert "key" not in table.column_names


def test_vectors_follow_the_table(catalogue: Catalogue) -> None:
    whole = np.concatenate(list(catalogue.vectors("colour")))
    brightness = catalogue.table(["brightness"]).column(0).to_numpy()
    assert np.allclose(whole.mean(axis=1), brightness, atol=0.1)
    for size in (1, 5, 1000):
        pieces = list(catalogue.vectors("colour", size=size))
        assert all(len(piece) <= size for piece in pieces)
        assert np.array_equal(np.concatenate(pieces), whole)


def test_a_sample_of_the_vectors_is_every_kth_of_them(catalogue: Catalogue) -> None:
    whole = np.concatenate(list(catalogue.vectors("colour")))
    for every in (2, 5, 21, 100):
        assert np.array_equal(np.concatenate(list(catalogue.vectors("colour", every=every))), whole[::every])


def test_a_selection_is_looked_up_once_and_read_in_any_batches(catalogue: Catalogue) -> None:
    uris = catalogue.table(["uri"]).column(0).to_pylist()
    some = catalogue.select([*uris[1::3], "cut.jpg"])
    whole = np.concatenate(list(catalogue.vectors("colour")))
    for size in (1, 4, 1000):
        assert np.array_equal(np.concatenate(list(some.vectors("colour", size=size))), whole[1::3])
        rows = [uri for batch in some.batches(["uri"], size) for uri in batch.column(0).to_pylist()]
        assert rows == uris[1::3]
    assert np.array_equal(np.concatenate(list(some.vectors("colour", every=2))), whole[1::3][::2])


def test_unknown_names(catalogue: Catalogue) -> None:
    with pytest.raises(UsageError, match="column 'nonsense'"):
        catalogue.table(["uri", "nonsense"])
    with pytest.raises(UsageError, match="vector 'nonsense'"):
        next(catalogue.vectors("nonsense"))


def test_sql_sees_the_same_rows(catalogue: Catalogue) -> None:
    table = catalogue.table()
    answer = catalogue.sql("SELECT * FROM assets ORDER BY uri")
    assert answer.column_names == table.column_names
    assert answer.column("sha256").to_pylist() == table.column("sha256").to_pylist()
    assert answer.column("brightness").to_pylist() == table.column("brightness").to_pylist()
    some = catalogue.select(["000.jpg", "sub/001.jpg"])
    assert some.sql("SELECT count(*) AS n FROM assets").to_pylist() == [{"n": 2}]


@pytest.mark.parametrize(
    "query",
    [
        "SELEC 1",
        "SELECT nonsense FROM assets",
        "SELECT * FROM origins",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_parquet('https://example.org/x.parquet')",
        "INSTALL httpfs",
        "SET enable_external_access = true",
        "COPY (SELECT 1) TO '/tmp/genepool-must-not-exist.csv'",
        "CREATE TABLE t (a INTEGER)",
    ],
)
def test_sql_refuses(catalogue: Catalogue, query: str) -> None:
    with pytest.raises(UsageError, match="sql"):
        catalogue.sql(query)
    assert not Path("/tmp/genepool-must-not-exist.csv").exists()


def test_sql_reads_a_flat_copy_of_a_large_set_as_it_reads_the_parts(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    uris = catalogue.table(["uri"]).column(0)
    catalogue.write_origins(pa.table({"uri": uris, "human": [True] * catalogue.n}))
    some = catalogue.select(["000.jpg", "sub/001.jpg", "cut.jpg"])
    queries = (
        "SELECT * FROM assets ORDER BY uri",
        "SELECT count(*) n, sum(width) w FROM assets",
        "SELECT a.uri, o.human FROM assets a JOIN origins o USING (uri) ORDER BY 1",
    )
    asked = [(whole, query) for whole in (catalogue, some, catalogue.select([])) for query in queries]
    joined = [whole.sql(query) for whole, query in asked]
    folder = catalogue.workspace.catalogue
    assert not list(folder.rglob("rows-*"))
    monkeypatch.setattr(_catalogue, "LARGE", 1)
    assert [whole.sql(query).equals(j) for (whole, query), j in zip(asked, joined, strict=True)] == [True] * 9
    (flat,) = folder.rglob("rows-*")
    # A damaged copy is let go, and the parts answer; the next question writes it anew.
    flat.write_bytes(flat.read_bytes()[:100])
    assert catalogue.sql(queries[0]).equals(joined[0])
    assert not flat.exists()
    assert catalogue.sql(queries[0]).equals(joined[0])
    assert flat.exists()
    # The copy of a listing that is gone goes with the next one's.
    old = flat.with_name("rows-listing-of-before.parquet")
    old.write_bytes(b"")
    flat.unlink()
    catalogue.sql(queries[0])
    assert not old.exists()
    assert flat.exists()


JOINS = [
    ("SELECT o.tier, count(*) n FROM assets a JOIN origins o USING (uri) GROUP BY ALL ORDER BY 1", True),
    ("select tier, sum(width) w from assets inner join origins on origins.uri = assets.uri group by 1 "
     "having w > 3 order by all;", True),
    ("SELECT max(a.width + o.lo) m, min(format) FROM assets AS a JOIN origins AS o ON a.uri = o.uri "
     "WHERE o.human AND a.size > 0 AND o.tier <> 'it''s'", True),
    ("SELECT count(*) n FROM assets JOIN origins USING (uri)", True),
    ("SELECT * FROM assets a JOIN origins o USING (uri) ORDER BY ALL", False),
    ("SELECT o.* FROM assets a JOIN origins o USING (uri) ORDER BY ALL", False),
    ("SELECT a FROM assets a JOIN origins o USING (uri) ORDER BY ALL", False),
    ("SELECT count(DISTINCT o) n FROM assets a JOIN origins o USING (uri)", False),
    ("SELECT a.uri FROM assets a JOIN origins o USING (uri) ORDER BY ALL", False),
    ("SELECT tier FROM assets a JOIN origins o USING (uri) ORDER BY uri", False),
    ("SELECT min(COLUMNS('ur.')) FROM assets a JOIN origins o USING (uri)", False),
    ('SELECT min(a."uri") m FROM assets a JOIN origins o USING (uri)', False),
    ("SELECT count(*) n FROM assets a JOIN origins o USING (uri) WHERE a.uri < '1'", False),
    ("SELECT count(*) n FROM assets a JOIN origins o USING (uri) JOIN assets b ON b.width > 1", False),
    ("SELECT count(*) n FROM assets SEMI JOIN origins USING (uri)", False),
    ("SELECT count(*) n FROM assets LEFT JOIN origins USING (uri)", False),
    ("SELECT count(*) n FROM assets a JOIN origins o ON a.uri = a.uri", False),
    ("SELECT count(*) n FROM assets a JOIN origins o USING (uri) WHERE o.lo IN (SELECT 0)", False),
    ("FROM assets a JOIN origins o USING (uri) ORDER BY ALL", False),
    ("SELECT count(*) n FROM assets a JOIN origins o USING (uri) UNION ALL FROM (SELECT 7)", False),
]  # fmt: skip


def test_a_join_by_row_answers_as_a_join_by_uri(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    uris = catalogue.table(["uri"]).column(0)
    human, tier, n = [True, False, False] * 7, ["declared", "unknown", None] * 7, catalogue.n
    catalogue.write_origins(pa.table({"uri": uris, "human": human, "tier": tier, "lo": list(range(n))}))
    joined = [catalogue.sql(query) for query, _ in JOINS]
    seen = []
    monkeypatch.setattr(_catalogue, "LARGE", 1)
    monkeypatch.setattr(
        _catalogue, "view_flat", lambda *a, **k: (seen.append(k["numbered"]), _views.view_flat(*a, **k))
    )
    for (query, by_row), before in zip(JOINS, joined, strict=True):
        assert joins_by_row(query) is by_row, query
        assert catalogue.sql(query).equals(before), query
    assert seen == [by_row for _, by_row in JOINS]


def test_a_join_is_by_uri_where_rows_do_not_correspond(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    uris = catalogue.table(["uri"]).column(0)
    catalogue.write_origins(pa.table({"uri": uris, "lo": list(range(catalogue.n))}))
    origins = catalogue._origins_path(None)
    batches = list(catalogue.batches(size=4))
    schema = batches[0].schema

    def copy(name: str, rows: list[pa.RecordBatch]) -> Path:
        return _views.flat_copy(tmp_path, name, rows, schema)

    held = origins, catalogue._identity()
    assert same_rows(copy("whole.parquet", batches), *held)
    assert not same_rows(copy("short.parquet", batches[:-1]), *held)
    # A uri that is there twice, in one batch and at the end of one and the beginning of the next.
    twice = pa.Table.from_batches(batches).take([0, *range(catalogue.n - 1)]).combine_chunks()
    assert not same_rows(copy("twice.parquet", twice.to_batches()), *held)
    assert not same_rows(copy("apart.parquet", twice.to_batches(max_chunksize=1)), *held)
    assert not same_rows(tmp_path / "rows-whole.parquet", origins, b"another")
    assert not same_rows(tmp_path / "nowhere.parquet", *held)
    # Chosen rows are no longer those of the origins.
    some = catalogue.select(["sub/001.jpg"])
    monkeypatch.setattr(_catalogue, "LARGE", 1)
    query = "SELECT sum(o.lo) lo FROM assets a JOIN origins o USING (uri)"
    assert some.sql(query).to_pylist() == [{"lo": uris.to_pylist().index("sub/001.jpg")}]


def test_sql_answers_where_no_copy_can_be_written(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_catalogue, "LARGE", 1)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    assert catalogue.sql("SELECT count(*) n FROM assets").to_pylist() == [{"n": 21}]
    assert not [f for f in catalogue.workspace.catalogue.rglob("*") if "rows-" in f.name]


def test_origins_are_bound_to_the_listing(catalogue: Catalogue, tmp_path: Path) -> None:
    assert catalogue.origins() is None
    uris = catalogue.table(["uri"]).column(0)
    settled = pa.table({"uri": uris, "human": [True] * catalogue.n})
    catalogue.write_origins(settled)
    assert catalogue.origins().equals(settled)
    assert catalogue.sql("SELECT count(*) n FROM origins WHERE human").to_pylist() == [{"n": 21}]
    some = catalogue.select(["000.jpg", "sub/001.jpg"])
    assert some.origins().column("uri").to_pylist() == ["000.jpg", "sub/001.jpg"]
    some.write_origins(pa.table({"uri": ["000.jpg", "sub/001.jpg"], "human": [False, False]}))
    assert some.origins().column("human").to_pylist() == [False, False]
    assert catalogue.origins().equals(settled)
    with pytest.raises(UsageError, match="expected the catalogue's 21 uris"):
        catalogue.write_origins(settled.slice(1))
    with pytest.raises(UsageError):
        catalogue.write_origins(pa.table({"image": uris}))
    (tmp_path / "set" / "000.jpg").unlink()
    assert scanned(tmp_path / "set", tmp_path / "w").origins() is None
    # Whoever still holds the older catalogue can go on reading it.
    assert catalogue.table().num_rows == 21


def test_some_columns_of_the_origins_are_those_of_all(catalogue: Catalogue) -> None:
    uris = catalogue.table(["uri"]).column(0)
    tiers = ["declared", "unknown", None] * 7
    catalogue.write_origins(pa.table({"uri": uris, "human": [True, False, False] * 7, "tier": tiers}))
    some = catalogue.select(["000.jpg", "sub/001.jpg", "nowhere.jpg", "odd \udcff.jpg"])
    for held in (catalogue, some):
        whole = held.origins()
        for columns in (["tier"], ["uri", "human"], ["tier", "not there"], []):
            kept = [name for name in whole.column_names if name in columns]
            assert held.origins(columns).equals(whole.select(kept))
    assert some.origins().num_rows == 2


def test_rows_by_number_and_digests_are_those_of_the_table(catalogue: Catalogue) -> None:
    uris = catalogue.table(["uri"]).column(0).to_pylist()
    some = catalogue.select([*uris[2::3], "odd \udcff.jpg"])
    for held, names in ((catalogue, uris), (some, uris[2::3])):
        rows = [held.n - 1, 0, 3, 3]
        assert held.uris_at(rows) == [names[row] for row in rows]
        assert held.uris_at([]) == []
        for wrong in ([held.n], [0, -1]):
            with pytest.raises(IndexError, match=f"catalogue of {held.n}"):
                held.uris_at(wrong)
        digests = held.table(["sha256"]).column(0).to_pylist()
        assert [row.tobytes() for row in held.digests()] == digests
    assert catalogue.select([]).digests().shape == (0, 32)


def test_select(catalogue: Catalogue) -> None:
    some = catalogue.select(["000.jpg", "sub/003.jpg", "cut.jpg", "nowhere.jpg"])
    assert some.n == 2
    assert some.dataset.selection == {"000.jpg", "sub/003.jpg", "cut.jpg", "nowhere.jpg"}
    assert [case.uri for case in some.cases()] == ["cut.jpg"]
    assert some.select(["000.jpg", "sub/001.jpg"]).table(["uri"]).column(0).to_pylist() == ["000.jpg"]
    assert catalogue.select([]).n == 0
    assert catalogue.select([]).root() == hashlib.sha256(b"").digest()
    assert catalogue.select([]).table().num_rows == 0


def test_root_is_the_merkle_root_of_the_multiset(catalogue: Catalogue) -> None:
    digests = catalogue.table(["sha256"]).column(0).to_pylist()
    assert catalogue.root() == tree(sorted(digests))
    assert len(set(digests)) < len(digests)  # two files of equal bytes are there


def tree(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\1" + tree(leaves[:k]) + tree(leaves[k:])).digest()


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33, 100])
def test_merkle_root_against_the_recursive_definition(n: int) -> None:
    rng = np.random.default_rng(n)
    leaves = [rng.bytes(30) + b"\0\0" for _ in range(n)]  # trailing zeros must not be lost
    leaves += leaves[: n // 3]
    assert merkle_root(leaves) == tree(sorted(leaves))
    assert merkle_root(leaves[::-1]) == merkle_root([b"".join(leaves)])


def test_inspect_names_damage_and_changes_nothing(catalogue: Catalogue) -> None:
    sound = inspect(catalogue.workspace)
    assert sound.problems == ()
    assert sound.parts >= 3
    assert sound.listings == 1
    part = next(catalogue.workspace.parts.glob("*.vec.parquet"))
    part.write_bytes(part.read_bytes()[:100])
    listing = next(catalogue.workspace.catalogue.glob("sets/*/listing-*"))
    listing = listing.parent / catalogue._listing.file
    listing.write_bytes(b"PAR1 nothing PAR1")
    catalogue.workspace.reviews.write_bytes(b"nonsense" * 200)
    problems = " ".join(inspect(catalogue.workspace).problems)
    for path in (part, listing, catalogue.workspace.reviews):
        assert path.name in problems
        assert path.exists()
