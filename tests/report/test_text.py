"""Numbers never cross their bound by rounding; strangers' strings stay on one line and show what they are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genepool.report._gallery import fair
from genepool.report._text import flatten, interval, number, printable, share

anything = st.text(st.characters(codec=None, categories=None), max_size=300)


@pytest.mark.parametrize(
    ("value", "bound", "shown"),
    [
        (0.6996, 0.70, "0.6996"),
        (0.70, 0.70, "0.70"),
        (0.7000001, 0.7, "0.700000"),
        (0.5, 0.7, "0.50"),
        (None, 1, "–"),
    ],
)
def test_a_number_beside_its_bound(value, bound, shown):
    assert number(value, bound=bound) == shown


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_shown_number_never_changes_sides(value, bound):
    text = float(number(value, bound=bound))
    if abs(value - bound) > 1e-5:
        assert (text < bound) == (value < bound)


def test_intervals():
    assert interval(0.6, 0.72) == "[0.60, 0.72]"
    assert interval(2, None, whole=True) == "[2, ∞)"
    assert interval(None, None) == ""
    assert interval(1, float("inf"), whole=True) == "[1, ∞)"


def test_shares_do_not_round_to_nothing_or_everything():
    assert share(1, 1_000_000) == "< 0.1 %"
    assert share(999_999, 1_000_000) == "> 99.9 %"
    assert (share(0, 5), share(5, 5), share(1, 0)) == ("0 %", "100 %", "–")


@given(anything, st.integers(8, 80))
def test_any_string_becomes_one_short_printable_line(text, limit):
    shown = printable(text, limit)
    assert len(shown) <= limit
    assert shown.isprintable()
    shown.encode("utf-8")


def test_escapes_show_what_a_name_hides():
    assert printable("holiday\u202egpj.exe") == "holiday\\u202egpj.exe"
    assert printable("a\nb\x1b[31m\udcff") == "a\\nb\\x1b[31m\\udcff"
    assert printable("صورة é 画.jpg") == "صورة é 画.jpg"
    assert printable("x" * 10**7, 30).count("x") == 29


@given(st.lists(st.integers(0, 1000), max_size=12), st.integers(0, 200), st.integers(0, 60))
def test_places_are_shared_fairly(sizes, total, each):
    given_ = fair(sizes, total, each)
    assert sum(given_) == min(total, sum(min(s, each) for s in sizes))
    assert all(g <= min(s, each) for g, s in zip(given_, sizes, strict=True))
    short = [g for g, s in zip(given_, sizes, strict=True) if g < min(s, each)]
    assert not short or max(given_) - min(short) <= 1


def test_nested_settings_become_rows():
    assert flatten({"a": {"b": 1, "c": []}, "d": None, "e": 0.5}) == [
        ("a.b", "1"), ("a.c", "–"), ("d", "–"), ("e", "0.5"),
    ]  # fmt: skip
