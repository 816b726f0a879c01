"""Rights: what files forbid, which licences were declared, and who wrote the captions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from genepool.errors import GenepoolError
from genepool.report._lineage import captions
from genepool.report._sections import tallies
from genepool.report._text import count, printable, share

if TYPE_CHECKING:
    from genepool.records import Decision
    from genepool.store import Catalogue

__all__ = ["rights"]

LICENCES = 20
_QUERY = (
    "SELECT coalesce(nullif(trim(json_extract_string(declared, '$.license')), ''), '') AS licence, "
    "count(*) AS n FROM assets GROUP BY licence ORDER BY licence = '', n DESC, licence"
)


def rights(decision: Decision, catalogue: Catalogue | None) -> dict[str, Any] | None:
    """Rows of the section's tables; None where nothing is known."""
    signals, licences = tallies(decision, "rights"), _licences(catalogue)
    written = captions(decision)
    if not (signals or licences or written):
        return None
    shown = licences[:LICENCES]
    rest = licences[LICENCES:]
    total = sum(n for _, n in licences)
    return {
        "signals": signals,
        "licences": [
            (printable(name, 100) if name else "none declared", count(n), share(n, total))
            for name, n in shown
        ],
        "more": f"{count(len(rest))} further licences, of {count(sum(n for _, n in rest))} images, not shown."
        if rest
        else "",
        "captions": written,
    }


def _licences(catalogue: Catalogue | None) -> list[tuple[str, int]]:
    """Licences that sidecars declare, most frequent first, images without one last; empty: none at all."""
    ask = getattr(catalogue, "sql", None)
    if catalogue is None or ask is None or not _declares(catalogue):
        return []
    try:
        rows = ask(_QUERY).to_pylist()
    except GenepoolError:  # a sidecar column that is not there, or not JSON
        return []
    found = [(str(row["licence"]), int(row["n"])) for row in rows if isinstance(row, Mapping)]
    return found if any(name for name, _ in found) else []


def _declares(catalogue: Catalogue) -> bool:
    """Whether any sidecar may name a licence: most sets have none, and need no database to say so."""
    import pyarrow.compute as pc

    try:
        texts = catalogue.table(["declared"]).column("declared")
    except (GenepoolError, AttributeError, KeyError):  # the query finds out
        return True
    return pc.any(pc.match_substring(texts, "license")).as_py() is True
