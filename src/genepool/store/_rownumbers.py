"""Joins of ``assets`` and ``origins`` whose questions use the uri for nothing else.

Both files hold the rows of one listing in its order. Where a question names the uri in its join alone, the
number of the row joins the same pairs, and a number is compared several times faster than a text. What is
recognised is one plain ``SELECT``; everything else is asked as it stands.
"""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["UNIQUE", "by_row", "joins_by_row", "same_rows"]

UNIQUE = b"genepool.unique"
"""In the metadata of a flat copy: no two of its rows have the same uri."""

_ALIAS = r"(?:\s+(?:as\s+)?(?P<{}>(?!(?:inner|join|using|on)\b)\w+))?"
_JOIN = re.compile(
    rf"select\s(?P<items>.+?)\sfrom\s+assets{_ALIAS.format('a')}\s+(?:inner\s+)?join\s+"
    rf"origins{_ALIAS.format('o')}\s+"
    r"(?:using\s*\(\s*uri\s*\)|on\s+(?P<left>\w+)\.uri\s*=\s*(?P<right>\w+)\.uri)(?P<rest>(?:\s.*)?)",
    re.DOTALL,
)
# What could show the uri without naming it, or begin another question.
_ELSE = re.compile(
    r"[\"$#\[{;]|--|/\*|uri|\b(?:assets|origins|select|from|table|values|join|columns|query|query_table"
    r"|natural|pivot|unpivot|rowid|file_row_number|filename|sample|tablesample|window|describe|summarize)\b"
)
_KEYWORDS = frozenset(
    {"anti", "asof", "cross", "full", "left", "natural", "outer", "positional", "right", "semi", "as"}
)
"""Other joins, not names of ``assets``."""


def by_row(query: str, flat: Path | None, origins: Path, identity: bytes) -> bool:
    """Whether numbers of rows may stand for the uris in a question, given the files that it is put to."""
    return flat is not None and joins_by_row(query) and same_rows(flat, origins, identity)


def joins_by_row(query: str) -> bool:
    """Whether a question joins the two views by uri and uses the uri nowhere else, not even in a ``*``."""
    text = query.strip().rstrip(";").lower()
    found = _JOIN.fullmatch(text)
    if found is None:
        return False
    names = (found["a"] or "assets", found["o"] or "origins")
    if names[0] == names[1] or _KEYWORDS & set(names):
        return False
    if found["left"] is not None and {found["left"], found["right"]} != set(names):
        return False
    # A count of rows is the only star that shows no column.
    told = re.sub(r"\bcount\s*\(\s*\*\s*\)", "count()", f"{found['items']} {found['rest']}")
    if "*" in told:
        return False
    for name in names:  # a view's name alone is all of its columns
        told = re.sub(rf"\b{re.escape(name)}\.(?=\w)", "", told)
    return _ELSE.search(told) is None and not any(re.search(rf"\b{re.escape(n)}\b", told) for n in names)


def same_rows(flat: Path, origins: Path, identity: bytes) -> bool:
    """Whether row k of one file is row k of the other, and no uri is there twice.

    Args:
        flat: The flat copy of a listing.
        origins: Settled origins, which are written in the order of their listing alone.
        identity: Of the listing.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        one, other = pq.read_metadata(flat), pq.read_metadata(origins)
    except (OSError, pa.ArrowException):
        return False
    bound = (other.metadata or {}).get(b"listing") == identity
    return bound and one.num_rows == other.num_rows and (one.metadata or {}).get(UNIQUE) == b"yes"
