"""Croissant 1.0 with the responsible-AI vocabulary (MLCommons, docs.mlcommons.org/croissant).

The metadata describes a table of images (JSON Lines, written beside it), which any Croissant reader loads.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import orjson

from genepool.dataset import CROISSANT_CONTEXT
from genepool.provenance._export_facts import Facts, day

__all__ = ["croissant"]

_FIELDS = {
    "sha256": ("sc:Text", "SHA-256 of the file's bytes, hex."),
    "pixel": ("sc:Text", "SHA-256 of the normalised raster, hex."),
    "origin": ("sc:Text", "captured, human_made, algorithmic, mixed, synthetic or unknown."),
    "generation_lo": ("sc:Integer", "Fewest machine generations from a person; 0 is human work."),
    "generation_hi": ("sc:Integer", "Most machine generations; empty: no upper end is known."),
    "basis": ("sc:Text", "checked, attested or claimed."),
    "cohort": ("sc:Text", "Collection that it was registered in."),
    "model": ("sc:Text", "Model that made it."),
    "key": ("sc:Text", "Key that signed the entry."),
    "log": ("sc:Text", "Origin line of the log."),
    "index": ("sc:Integer", "Leaf index in that log."),
}


def croissant(facts: Facts, table: bytes, table_name: str) -> bytes:
    """The metadata file.

    Args:
        facts: What to say.
        table: The images as JSON Lines.
        table_name: Name of the file that holds them, relative to the metadata.
    """
    about = facts.about
    head = [f"{log.origin}, {log.size} entries, root {log.root.hex()}" for log in facts.logs]
    body: dict[str, Any] = {
        "@context": CROISSANT_CONTEXT,
        "@type": "sc:Dataset",
        "name": facts.name,
        "description": facts.description,
        "conformsTo": ["http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/RAI/1.0"],
        "datePublished": day(about.at),
        "version": "1.0.0",
        "keywords": ["images", "provenance", "training data"],
        **({"license": about.license} if about.license else {}),
        **({"url": about.url} if about.url else {}),
        **({"creator": {"@type": "sc:Organization", "name": about.creator}} if about.creator else {}),
        **_responsible(facts, head),
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": "origins",
                "name": "origins",
                "description": "One line an image, from the log of origins.",
                "contentUrl": table_name,
                "contentSize": f"{len(table)} B",
                "encodingFormat": "application/jsonlines",
                "sha256": sha256(table).hexdigest(),
            }
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "images",
                "name": "images",
                "description": "Every image of the logs with its origin and generation.",
                "key": {"@id": "images/sha256"},
                "field": [
                    {
                        "@type": "cr:Field",
                        "@id": f"images/{name}",
                        "name": name,
                        "description": text,
                        "dataType": kind,
                        "source": {"fileObject": {"@id": "origins"}, "extract": {"column": name}},
                    }
                    for name, (kind, text) in _FIELDS.items()
                ],
            }
        ],
    }
    return orjson.dumps(body, option=orjson.OPT_INDENT_2) + b"\n"


def _responsible(facts: Facts, head: list[str]) -> dict[str, Any]:
    """The fields of Croissant RAI 1.0 that a log can answer; the others are left to the user."""
    n = max(1, facts.n)
    shares = ", ".join(f"{origin} {count} ({count / n:.1%})" for origin, count in facts.composition.items())
    ages = ", ".join(f"generation {name}: {count}" for name, count in facts.generations.items())
    models = [
        f"{model.name}: trained on {', '.join(name for name, _ in model.trained_on)}"
        for model in facts.models.values()
    ]
    unknown = facts.composition.get("unknown", 0)
    kinds = sorted({cohort.origin for cohort in facts.cohorts.values()})
    words = {
        "captured": "Physical data collection",
        "human_made": "Manual Human Curated",
        "synthetic": "Software Collection",
        "mixed": "Software Collection",
        "algorithmic": "Software Collection",
    }
    decision = facts.decision
    return {
        "rai:dataCollection": (
            f"{len(facts.cohorts)} registered cohorts: "
            + "; ".join(f"{c.name} ({c.n} images, {c.origin})" for c in facts.cohorts.values())
        ),
        "rai:dataCollectionType": sorted({words[kind] for kind in kinds if kind in words}) or ["Others"],
        "rai:dataCollectionMissingData": f"{unknown} of {facts.n} images are of unknown origin.",
        "rai:dataAnnotationProtocol": [
            "Origins are attested by keys or concluded by a check, and stand in an append-only signed log.",
            *head,
        ],
        "rai:machineAnnotationTools": ["genepool"],
        "rai:dataBiases": [
            f"Composition by origin: {shares or 'nothing known'}.",
            f"Machine generations: {ages or 'none'}.",
        ],
        "rai:dataLimitations": [
            "Generations are intervals; where ancestry is unknown they have no upper end.",
            *models,
            *([f"Last check: {decision['status']}."] if decision is not None else []),
        ],
        "rai:personalSensitiveInformation": [
            "Names of files and artists are kept apart from the log and are not part of this file."
        ],
    }
