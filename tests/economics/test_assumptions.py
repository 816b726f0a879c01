"""Every number has a unit and a source, and a file replaces it, or says why not."""

from __future__ import annotations

import tomllib

import pytest

from genepool.economics import Assumptions, template
from genepool.errors import ConfigError, UsageError


def _load(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return Assumptions.load(path)


def test_every_number_says_its_unit_source_and_meaning():
    for one in Assumptions.default().numbers.values():
        assert one.unit
        assert one.source
        assert one.about
        assert one.low <= one.value <= one.high
    assert [s.name for s in Assumptions.default().strategies] == [
        "human_only",
        "hybrid",
        "synthetic_heavy",
        "scrape",
    ]


def test_the_template_is_the_defaults(tmp_path):
    same = _load(tmp_path, template())
    default = Assumptions.default()
    assert same.numbers == default.numbers
    assert same.strategies == default.strategies
    assert set(tomllib.loads(template())) >= {"data", "market", "strategies"}


def test_a_plain_number_takes_its_range_along_and_a_table_sets_it(tmp_path):
    found = _load(tmp_path, "[data]\nhuman_image = 2.0\nimages = { value = 5000, low = 4000, high = 9000 }\n")
    price = found.numbers["data.human_image"]
    assert (price.low, price.value, price.high) == (0.4, 2.0, 10.0)
    assert price.source.endswith("mine.toml")
    assert found.numbers["data.images"].high == 9000
    assert found.numbers["market.revenue"] == Assumptions.default().numbers["market.revenue"]


def test_strategies_can_be_added_changed_and_dropped(tmp_path):
    found = _load(
        tmp_path,
        "[strategies.scrape]\ndrop = true\n[strategies.half]\nhuman = 0.5\n"
        "[strategies.hybrid]\nhuman = 0.8\n",
    )
    by_name = {s.name: s for s in found.strategies}
    assert list(by_name) == ["human_only", "hybrid", "synthetic_heavy", "half"]
    assert by_name["hybrid"].human == 0.8
    assert by_name["hybrid"].gated


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[data]\nhuman_imag = 2\n", "unknown key `data.human_imag`"),
        ("[dat]\nimages = 2\n", "unknown key `dat`"),
        ("[data]\nimages = -2\n", "from 1"),
        ("[data]\nrenewed = 2\n", "from 0 to 1"),
        ('[data]\nimages = "many"\n', "finite number"),
        ("[data]\nimages = nan\n", "finite number"),
        ("[general]\nhorizon = 1.5\n", "whole number"),
        ("[data.images]\nvalue = 5\nlow = 9\nhigh = 10\n", "low ≤ value ≤ high"),
        ("[data.images]\nvalu = 5\n", "unknown key `data.images.valu`"),
        ("[strategies.x]\ngated = true\n", "human` is missing"),
        ("[strategies.x]\nhuman = 3\n", "from 0 to 1"),
        ("[strategies.x]\nhuman = 0.5\ngated = 1\n", "true or false"),
        ("[strategies.x]\nscraped = true\ngated = true\n", "cannot be both"),
        ("[policy]\nfloor = 0.9\n", "must not be below"),
        ("[data\n", "mine.toml"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, words):
    with pytest.raises(ConfigError) as caught:
        _load(tmp_path, text)
    assert words in str(caught.value)


def test_a_missing_file_says_how_to_get_one(tmp_path):
    with pytest.raises(UsageError, match="init-assumptions"):
        Assumptions.load(tmp_path / "none.toml")
