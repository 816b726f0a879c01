"""Entries are RFC 8785, for an independent implementation too."""

from __future__ import annotations

import json

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from genepool.errors import UsageError
from genepool.provenance._dsse import pae
from genepool.provenance._entries import clean, decode, encode, name_of

names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=200)
hexes = st.binary(min_size=32, max_size=32).map(bytes.hex)
generations = st.tuples(st.integers(0, 9), st.none() | st.integers(9, 2**31 - 1)).map(list)


@given(hexes, hexes, generations, names, names)
def test_origin_entries_are_canonical_and_read_back(
    sha: str, pix: str, gen: list[int | None], cohort: str, model: str
) -> None:
    body = {
        "kind": "origin",
        "cohort": cohort,
        "gen": gen,
        "model": model,
        "origin": "synthetic",
        "pix": pix,
        "role": "attest",
        "sha256": sha,
    }
    data = encode(body)
    assert data == rfc8785.dumps({**body, "v": 1})
    assert decode(data) == json.loads(data) == {**body, "v": 1}


def test_an_origin_entry_is_small() -> None:
    body = {"kind": "origin", "cohort": "paintings", "gen": [0, 0], "origin": "human_made", "role": "attest"}
    assert len(encode({**body, "pix": "0" * 64, "sha256": "0" * 64})) <= 250


@pytest.mark.parametrize(
    "change",
    [
        {"gen": [0.0, 1]},
        {"gen": (0, 1)},
        {"sha256": "0" * 63},
        {"origin": "human"},
        {"cohort": "\ud800"},
        {"cohort": 3},
        {"more": 1},
        {"parents": ["0" * 64] * 65},
    ],
)
def test_what_may_not_be_written(change: dict[str, object]) -> None:
    body = {"kind": "origin", "gen": [0, 0], "origin": "human_made", "role": "attest", "pix": "0" * 64}
    with pytest.raises(UsageError, match="origin entry"):
        encode({**body, "sha256": "0" * 64, **change})


def test_a_missing_field_is_named() -> None:
    with pytest.raises(UsageError, match="`index` is missing"):
        encode({"kind": "withdraw", "at": 0})


@given(st.text(max_size=300))
def test_any_text_can_be_made_a_name_or_nothing(text: str) -> None:
    name = clean(text)
    assert not name or name_of(name, "name") == name


def test_pre_authentication_encoding_of_dsse() -> None:
    # The example of the DSSE protocol document.
    assert pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )
