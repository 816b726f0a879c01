"""However rows are spread over parts and scans, the catalogue is the same."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from genepool.config import Config
from genepool.dataset import Dataset
from genepool.engine import LocalEngine
from genepool.records import Case, Item, Sample
from genepool.scan import scan
from genepool.store import Catalogue, merkle_root


class ListedSource:
    """Items by name, in the order given; their bytes are no image, which is a row as well."""

    kind = "listed"
    uri = "memory:listed"

    def __init__(self, names: list[str]) -> None:
        self.names = names

    def list(self, aside: list[Case]) -> Iterator[Item]:
        yield from (Item(name, "1", f"/{name}") for name in self.names)

    def read(self, items: Any) -> Iterator[Sample]:
        for item in items:
            yield Sample(item, f"contents of {item.uri}".encode())


NAME = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
NAMES = st.lists(NAME, min_size=1, max_size=40, unique=True)


def catalogue(names: list[str], space: Path, unit: int) -> Catalogue:
    config = Config().with_(scan__unit=unit)
    return scan(
        Dataset("memory:listed", ListedSource(names), str(space)),
        config=config,
        engine=LocalEngine(inline=True),
    )


@settings(max_examples=25)
@given(names=NAMES, data=st.data())
def test_scans_in_pieces_add_up(names: list[str], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        whole = catalogue(names, Path(folder) / "whole", 1000)
        pieces = Path(folder) / "pieces"
        for _ in range(data.draw(st.integers(0, 3))):
            some = data.draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
            catalogue(some, pieces, data.draw(st.integers(1, 7)))
        merged = catalogue(data.draw(st.permutations(names)), pieces, data.draw(st.integers(1, 7)))
        assert merged.stats.n_new + merged.stats.n_reused == len(names)
        assert merged.cases() == whole.cases()
        assert [case.uri for case in merged.cases()] == sorted(names)
        assert len({case.sha256 for case in merged.cases()}) == len(names)
        again = catalogue(names, pieces, 3)
        assert again.stats.n_new == 0


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=60), st.randoms())
def test_the_root_does_not_know_the_order(digests: list[bytes], random: Any) -> None:
    shuffled = list(digests)
    random.shuffle(shuffled)
    assert merkle_root(digests) == merkle_root(shuffled)
    if digests:
        assert merkle_root([*digests, digests[0]]) != merkle_root(digests)
        assert merkle_root(digests[1:]) != merkle_root(digests)


@given(st.integers(1, 2000), st.integers(1, 16), st.integers(1, 300))
def test_unit_sizes(total: int, workers: int, largest: int) -> None:
    from genepool.scan._crew import ROUNDS, WORTH, unit_size

    crew = min(workers, max(1, total // WORTH))
    size = unit_size(total, crew, largest)
    assert 1 <= size <= largest
    units = -(-total // size)
    assert units <= max(crew * ROUNDS, -(-total // largest))
    if total >= 2 * crew * WORTH and size < largest:
        assert units >= min(ROUNDS, total // (crew * WORTH))  # rounds as far as a unit stays worth a start
    if crew == 1 and total < 2 * WORTH and total <= largest:
        assert units == 1  # one worker, one part
