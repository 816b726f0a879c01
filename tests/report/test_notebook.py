"""What objects show of themselves in a notebook: small, without script, whole in words, safe."""

from __future__ import annotations

import dataclasses
import re
from html.parser import HTMLParser

import pytest

import genepool
from genepool.records import Case, Decision, Estimate, Failure, Measure, RatioEstimate
from support import reports

LIMIT = 60_000
# What GitHub's sanitiser keeps in a notebook (github/markup), styles aside.
KEPT = {"div", "p", "strong", "em", "small", "br", "code", "table", "thead", "tbody", "tr", "th", "td"}
KEPT |= {"ul", "li", "img"}


class Tags(HTMLParser):
    """Every tag balanced, and what it carries."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.words = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in ("br", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words += data


def read(obj: object) -> Tags:
    text = obj._repr_html_()  # type: ignore[attr-defined]
    assert len(text.encode("utf-8", "strict")) < LIMIT
    found = Tags(text)
    assert found.seen <= KEPT
    for name, value in found.attributes:
        assert name in ("style", "src", "alt")
        assert name != "src" or value.startswith("data:image/webp;base64,")
    return found


@pytest.mark.parametrize("status", ["pass", "fail", "undecided"])
def test_a_decision_says_verdict_numbers_and_what_to_do(status):
    made = reports.decision(status, reports.catalogue(40, names=reports.HOSTILE))
    words = read(made).words
    assert status.upper() in words
    assert "40 images · 16 set aside" in words
    assert "0.712[0.688, 0.735]floor 0.600400" in words
    for failure in made.failures:
        assert failure.code in words
        assert failure.hint[:60] in words
    assert ("✗ does not hold" in words) == (status == "fail")


def test_a_decision_stays_small_and_harmless_whatever_it_holds():
    hostile = "<script>alert('&')</script>\u202e\x00\udcff" * 4000
    measure = Measure(
        hostile, hostile, 0.5, float("nan"), float("inf"), 3, hostile, 0.5, "floor", None, hostile
    )
    failure = Failure(hostile, "undecided", hostile, hostile, (Case(hostile, "r", "m"),) * 3)
    made = Decision(
        "undecided",
        hostile,
        1,
        hostile,
        {str(i): measure for i in range(99)},
        (failure,) * 99,
        (Case(hostile, "x", "m"),),
    )
    words = read(made).words
    assert "83 more measures are not shown." in words
    assert "87 more rules do not hold." in words
    assert "\u202e" not in words
    assert "[–, ∞]" in words
    read(dataclasses.replace(made, measures={}, failures=(), set_aside=()))


def test_estimates_carry_interval_n_confidence_and_method():
    words = read(Estimate(0.7124, 0.688, 0.735, 4096, "order-2 <Vendi> score", 0.1)).words
    assert words == "0.712 [0.688, 0.735] · n = 4,096 · 90% confidenceorder-2 <Vendi> score"
    ratio = RatioEstimate(
        0.62, point=0.7, upper=0.9, alpha=0.05, n=1200, n_audited=40, method="m", assumptions=("a holds",)
    )
    words = read(ratio).words
    assert words.startswith(
        "≥ 0.620 [0.620, 0.900] · n = 1,200, 40 of them verified or judged · 95% confidence"
    )
    assert words.endswith("m; assuming a holds")
    assert "0.500 [–, ∞]" in read(Estimate(0.5, float("nan"), float("inf"), 0, "")).words


def test_a_dataset_shows_its_first_images(tmp_path):
    for i in range(15):
        (tmp_path / f"{i:02}<b>&.jpg").write_bytes(reports.picture(i, (700, 500)))
    (tmp_path / "03<b>&.jpg").write_bytes(b"not an image")
    found = read(genepool.open(tmp_path))
    assert "15 images" in found.words
    assert "the first 12" in found.words
    assert sum(name == "src" for name, _ in found.attributes) == 11
    assert "no picture" in found.words
    assert next(v for n, v in found.attributes if n == "alt") == "00<b>&.jpg"
    assert f"genepool check {tmp_path}" in found.words


def test_a_dataset_that_is_not_there_elsewhere_or_empty(tmp_path):
    from genepool.dataset import Dataset, FolderSource

    gone = read(Dataset(str(tmp_path / "gone"), FolderSource(str(tmp_path / "gone"))))
    assert "Dataset" in gone.words
    assert "img" not in gone.seen

    class Far:
        kind, uri = "folder", "s3://bucket/set"

        def list(self, aside):
            raise AssertionError("looking at a name must not fetch")

    words = read(Dataset("s3://bucket/set", Far())).words  # type: ignore[arg-type]
    assert "not listed before it is used" in words


def test_a_large_set_is_not_listed_to_its_end():
    from genepool.dataset import Dataset
    from genepool.records import Item, Sample

    class Endless:
        kind, uri, asked = "endless", "memory:1", 0

        def list(self, aside):
            while True:
                self.asked += 1
                yield Item(uri=f"{self.asked}.jpg", stamp="1", path="x")

        def read(self, items):
            return (Sample(item, None) for item in items)

    source = Endless()
    assert "2,000 images or more" in read(Dataset("memory:1", source)).words  # type: ignore[arg-type]
    assert source.asked == 2_001
    assert re.search("no picture", read(Dataset("memory:1", source)).words)  # type: ignore[arg-type]
