"""XMP packets: digital source type, the IPTC 2025.1 fields on AI, rights, names and dates.

Only properties of the image itself count: those on a top-level ``rdf:Description``. A digital source type
inside ``xmpMM:Ingredients`` or ``xmpMM:DerivedFrom`` speaks of another image. Document type declarations
are refused (entity bombs, external entities).

Sources: XMP specification parts 1 and 3; IPTC Photo Metadata Standard 2025.1 (``Iptc4xmpExt:AISystemUsed``
and its kin); PLUS 2.0.1 ``plus:DataMining``; C2PA 2.2 (``dcterms:provenance`` points to a remote manifest).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from genepool.evidence._digitalsource import source_type
from genepool.evidence._rights import Right, data_mining, reservation
from genepool.evidence._weights import NOTHING, XMP_AI, XMP_HUMAN, claim_of, clean, note, witness
from genepool.records import Evidence, OriginClass

_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_EXT = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"
_PLUS = "{http://ns.useplus.org/ldf/xmp/1.0/}"
_TDM = ("{http://www.w3.org/ns/tdmrep/}", "{http://www.w3.org/ns/tdmrep#}", "{http://www.w3.org/ns/tdmrep}")
_PROPERTIES = {
    f"{_EXT}DigitalSourceType": "source_type",
    f"{_EXT}AISystemUsed": "ai_system",
    f"{_EXT}AISystemVersionUsed": "ai_version",
    f"{_EXT}AIPromptInformation": "ai_prompt",
    f"{_EXT}AIPromptWriterName": "ai_writer",
    f"{_PLUS}DataMining": "data_mining",
    f"{_PLUS}OtherConstraints": "constraints",
    "{http://ns.adobe.com/xap/1.0/}CreatorTool": "tool",
    "{http://ns.adobe.com/xap/1.0/}CreateDate": "created",
    "{http://ns.adobe.com/photoshop/1.0/}DateCreated": "date_created",
    "{http://purl.org/dc/elements/1.1/}creator": "artist",
    "{http://purl.org/dc/elements/1.1/}rights": "copyright",
    "{http://purl.org/dc/terms/}provenance": "provenance",
    **{f"{ns}reservation": "tdm_reservation" for ns in _TDM},
    **{f"{ns}policy": "tdm_policy" for ns in _TDM},
}
_MAX_VALUE = 16 * 1024


@dataclass(frozen=True, slots=True)
class Xmp:
    """Properties of one packet; absent ones are empty strings."""

    source_type: str = ""
    ai_system: str = ""
    ai_version: str = ""
    ai_prompt: str = ""
    ai_writer: str = ""
    data_mining: str = ""
    constraints: str = ""
    tool: str = ""
    created: str = ""
    date_created: str = ""
    artist: str = ""
    copyright: str = ""
    provenance: str = ""
    tdm_reservation: str = ""
    tdm_policy: str = ""


def read_xmp(packet: bytes) -> Xmp:
    """Read one XMP packet.

    Args:
        packet: Serialised RDF/XML, with or without its ``xpacket`` wrapper and padding.

    Raises:
        ValueError: The XML is broken, or declares a document type or entities.
    """
    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import ParseError, fromstring

    try:
        root = fromstring(packet.strip(b"\0 \r\n\t"), forbid_dtd=True)
    except DefusedXmlException as error:
        raise ValueError("it declares a document type or entities, which XMP forbids") from error
    except (ParseError, LookupError, ValueError) as error:
        raise ValueError(f"it is no well-formed XML ({clean(str(error), 120)})") from error
    rdf = root if root.tag == f"{_RDF}RDF" else root.find(f"{_RDF}RDF")
    values: dict[str, str] = {}
    for description in [] if rdf is None else rdf.findall(f"{_RDF}Description"):
        for name, value in description.attrib.items():
            if name in _PROPERTIES:
                values.setdefault(_PROPERTIES[name], value.strip()[:_MAX_VALUE])
        for element in description:
            if element.tag in _PROPERTIES:
                values.setdefault(_PROPERTIES[element.tag], _value(element))
    return Xmp(**values)


def _value(element: Any) -> str:
    """A property's text: resource, plain text, or the first item of its array or language alternative."""
    value = element.get(f"{_RDF}resource") or element.text or ""
    if not value.strip():
        for array in element:
            item = array.find(f"{_RDF}li")
            if item is not None:
                value = item.text or item.get(f"{_RDF}resource") or ""
                break
    return str(value).strip()[:_MAX_VALUE]


def testify(xmp: Xmp) -> list[Evidence]:
    """What one packet says about the origin. All of it is unsigned."""
    found: list[Evidence] = []
    term = source_type(xmp.source_type) if xmp.source_type else None
    system = clean(f"{xmp.ai_system} {xmp.ai_version}", 200)
    if term is not None:
        claim = claim_of(term.origin)
        weight = {"ai": XMP_AI, "human": XMP_HUMAN}.get(claim, NOTHING)
        found.append(
            witness(
                "xmp",
                claim,
                weight,
                origin=term.origin.value,
                model=system if claim == "ai" else "",
                reference="XMP Iptc4xmpExt:DigitalSourceType",
                detail=f"unsigned XMP calls the image {term.name}{' (retired term)' if term.retired else ''}",
            )
        )
    elif xmp.source_type:
        found.append(note("xmp", f"unknown digital source type {clean(xmp.source_type, 120)}", "XMP"))
    if (term is None or not term.origin.is_ai) and (system or xmp.ai_prompt):
        # The fields are defined for images that the system generated. Beside a human source type they
        # tell of generated parts.
        origin = OriginClass.MIXED if term is not None and term.origin.is_human else OriginClass.SYNTHETIC
        found.append(
            witness(
                "xmp",
                "ai",
                XMP_AI,
                origin=origin.value,
                model=system,
                reference="XMP Iptc4xmpExt:AISystemUsed" if system else "XMP Iptc4xmpExt:AIPromptInformation",
                detail=f"unsigned XMP names the AI system {system}"
                if system
                else "unsigned XMP holds an AI prompt",
            )
        )
    return found


def rights(xmp: Xmp) -> list[Right]:
    """The owner's signals in one packet."""
    return [*data_mining(xmp.data_mining, xmp.constraints), *reservation(xmp.tdm_reservation, xmp.tdm_policy)]
