"""Section 2, "list of data sources", of the EU's public summary of training content.

Source: European Commission, "Explanatory Notice and Template for the Public Summary of Training Content for
general-purpose AI models required by Article 53(1)(d) of Regulation (EU) 2024/1689", 24 July 2025, adopted as
C(2025) 8311 final of 5 December 2025. The template is a document, not a data format; the JSON schema in
``eu_summary.schema.json`` is ours and mirrors its sections 2.1 to 2.6. What a log cannot know (under which
right a collection was obtained) is asked of the user, never guessed: cohorts that nobody placed are listed
as ``unplaced``, and the summary is complete only when there are none.
"""

from __future__ import annotations

from typing import Any

import orjson

from genepool.provenance._export_facts import Facts, day, span
from genepool.provenance._lineages import CohortRecord
from genepool.records import OriginClass

__all__ = ["eu_summary"]

_SECTIONS = {
    "public": "2.1 publicly_available_datasets",
    "licensed": "2.2.1 licensed_datasets",
    "third-party": "2.2.2 other_third_party_datasets",
    "crawled": "2.3 crawled_and_scraped",
    "user": "2.4 user_data",
    "other": "2.6 other_sources",
}
_SYNTHETIC = "2.5 synthetic_data"


def eu_summary(facts: Facts) -> bytes:
    """The part of the summary that the logs can fill."""
    sections: dict[str, list[dict[str, Any]]] = {name: [] for name in (*_SECTIONS.values(), _SYNTHETIC)}
    unplaced = []
    for name, record in facts.cohorts.items():
        kind = facts.about.sources.get(name)
        if OriginClass(record.origin).is_ai:
            sections[_SYNTHETIC].append(_synthetic(facts, record))
        elif kind is None:
            unplaced.append(_source(record))
        else:
            sections[_SECTIONS[kind]].append(_source(record))
    registered = sum(record.n for record in facts.cohorts.values())
    body = {
        "schema": "genepool.eu-summary/1",
        "source": "C(2025) 8311 final, template, section 2 (Regulation (EU) 2024/1689, Article 53(1)(d))",
        "name": facts.name,
        "date": day(facts.about.at),
        "modality": "image",
        "images": facts.n,
        "images_outside_registered_sources": max(0, facts.n - registered),
        "complete": not unplaced and facts.n <= registered,
        "sections": {
            name.partition(" ")[2]: {
                "section": name.partition(" ")[0],
                "used": bool(found),
                "images": sum(one["images"] for one in found),
                "sources": found,
            }
            for name, found in sorted(sections.items())
        },
        "unplaced": unplaced,
        "logs": [{"origin": log.origin, "size": log.size, "root": log.root.hex()} for log in facts.logs],
    }
    return orjson.dumps(body, option=orjson.OPT_INDENT_2) + b"\n"


def _source(record: CohortRecord) -> dict[str, Any]:
    return {
        "name": record.name,
        "images": record.n,
        "modality": "image",
        "origin": record.origin,
        "attested_by": record.key,
        "trusted": record.trusted,
    }


def _synthetic(facts: Facts, record: CohortRecord) -> dict[str, Any]:
    model = facts.models.get(record.model)
    return {
        **_source(record),
        "model": record.model,
        "generation": span(record.generation),
        "model_trained_on": [name for name, _ in model.trained_on] if model else [],
    }
