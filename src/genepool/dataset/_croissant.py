"""Croissant 1.0 (MLCommons, docs.mlcommons.org/croissant): the context, and the description of a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["CONTEXT", "description"]

CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}

_TYPES = {"text": "sc:Text", "number": "sc:Float", "integer": "sc:Integer", "flag": "sc:Boolean"}


def description(
    name: str, parts: Sequence[tuple[str, str, int]], columns: Mapping[str, tuple[str, str]]
) -> dict[str, Any]:
    """The metadata of images that lie, with what describes them, in Parquet files.

    Args:
        name: Of the set.
        parts: Each file: name relative to the metadata, SHA-256 (hex), bytes.
        columns: Column → (``text``, ``number``, ``integer`` or ``flag``, one sentence).

    Returns:
        The object of ``croissant.json``. A reader of Croissant gives a record per image, decoded.
    """
    files = [
        {
            "@type": "cr:FileObject",
            "@id": part,
            "name": part,
            "contentUrl": part,
            "contentSize": f"{size} B",
            "encodingFormat": "application/x-parquet",
            "sha256": digest,
        }
        for part, digest, size in parts
    ]
    every = {
        "@type": "cr:FileSet",
        "@id": "parts",
        "name": "parts",
        "description": "The pictures, byte for byte, and a row about each.",
        "encodingFormat": "application/x-parquet",
        "includes": "data/*.parquet",
    }
    fields = [_field(column, text, _TYPES[kind]) for column, (kind, text) in columns.items()]
    image = _field("image", "The picture.", "sc:ImageObject")
    # Hugging Face's Image struct: the bytes stand beside the path.
    image["source"]["transform"] = {"jsonPath": "bytes"}
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": name,
        "description": "Images with captions and what is known about their origin, written by genepool.",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "version": "1.0.0",
        "keywords": ["images", "provenance", "training data"],
        "distribution": [*files, every],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "images",
                "name": "images",
                "description": "Every image, its caption and its origin.",
                "field": [image, *fields],
            }
        ],
    }


def _field(column: str, text: str, kind: str) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": f"images/{column}",
        "name": column,
        "description": text,
        "dataType": kind,
        "source": {"fileSet": {"@id": "parts"}, "extract": {"column": column}},
    }
