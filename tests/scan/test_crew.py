"""Workers start only for work that is worth their start."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from genepool.records import Item
from genepool.scan._crew import WORTH, crew, unit_size, weight


def photos(count: int, size: int = 100_000) -> list[Item]:
    return [Item(f"{i}.jpg", f"{size}:1700000000000000000", f"/set/{i}.jpg") for i in range(count)]


def test_a_day_of_a_few_images_is_one_workers() -> None:
    assert crew(photos(1), 16) == crew(photos(30), 16) == crew(photos(40), 2) == 1
    assert unit_size(30, 1, 256) == 30  # and one part


def test_what_is_worth_it_gets_every_worker() -> None:
    assert crew(photos(80), 2) == 2
    assert crew(photos(3000), 16) == 16
    assert unit_size(80, 2, 256) == 40
    assert unit_size(3000, 2, 256) == 188
    assert unit_size(3000, 2, 50) == 50


def test_large_and_remote_images_count_for_more() -> None:
    assert crew(photos(30, 8_000_000), 16) > 10
    far = [Item(f"{i}.jpg", "etag", f"s3://set/{i}.jpg") for i in range(30)]
    assert crew(far, 16) == 3


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (Item("a.jpg", "400000:17", "/set/a.jpg"), 2.0),
        (Item("a.jpg", "400000:17:0;800000:3", "/set/a.jpg"), 2.0),
        (Item("a.tar::a.jpg", "99999999:17:512:400000", "/set/a.tar", 512, 400_000), 2.0),
        (Item("a.parquet#3", "99999999:17:3", "/set/a.parquet", row=3), 1.0),
        (Item("a.jpg", "nonsense", "/set/a.jpg"), 1.0),
        (Item("a.jpg", "9" * 400 + ":1", "/set/a.jpg"), 1.0),
        (Item("a.jpg", "5:1", "https://host/a.jpg"), 4.0),
    ],
)
def test_the_weight_of_one(item: Item, expected: float) -> None:
    assert weight(item) == expected


def test_no_more_is_read_than_it_takes() -> None:
    read = 0

    def endless() -> Iterator[Item]:
        nonlocal read
        for item in photos(10_000):
            read += 1
            yield item

    assert crew(endless(), 2) == 2
    assert read <= 2 * WORTH
