"""SPDX 3.0.1 as JSON-LD: dataset and AI profiles (ISO/IEC 5962 successor, spdx.github.io/spdx-spec/v3.0.1).

Profile conformance is claimed only as far as the facts reach: the dataset profile asks where a set can be
downloaded from, so it is named only when a URL was given.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from genepool._version import __version__
from genepool.provenance._export_facts import Facts, moment, span

__all__ = ["spdx"]

_CONTEXT = "https://spdx.org/rdf/3.0.1/spdx-context.jsonld"
_CREATION = "_:creation"


def spdx(facts: Facts) -> bytes:
    """The document."""
    base = f"urn:genepool:spdx:{facts.logs[0].root.hex() if facts.logs else 'empty'}"
    graph = _Graph(facts, base)
    cohorts = {name: graph.cohort(number, name) for number, name in enumerate(facts.cohorts)}
    models = {name: graph.model(number, name) for number, name in enumerate(facts.models)}
    whole = graph.whole()
    graph.relate(whole, "contains", cohorts.values())
    for name, record in facts.models.items():
        refs = [ref for ref, _ in record.trained_on]
        graph.relate(models[name], "trainedOn", (cohorts[ref] for ref in refs if ref in cohorts))
        below = {*(ref for ref in refs if ref in models), record.base} & set(models)
        graph.relate(models[name], "descendantOf", (models[ref] for ref in sorted(below)))
        made = (cohorts[cohort.name] for cohort in facts.cohorts.values() if cohort.model == name)
        graph.relate(models[name], "generates", made)
    return orjson.dumps(graph.document(whole), option=orjson.OPT_INDENT_2) + b"\n"


class _Graph:
    def __init__(self, facts: Facts, base: str) -> None:
        self.facts, self.base = facts, base
        self.agent = f"{base}#creator"
        self.tool = f"{base}#genepool"
        self.elements: list[dict[str, Any]] = [
            {
                "type": "Organization" if facts.about.creator else "SoftwareAgent",
                "spdxId": self.agent,
                "creationInfo": _CREATION,
                "name": facts.about.creator or f"genepool {__version__}",
            },
            {
                "type": "Tool",
                "spdxId": self.tool,
                "creationInfo": _CREATION,
                "name": f"genepool {__version__}",
            },
        ]
        self.relations = 0

    def _package(self, kind: str, tag: str, name: str, purpose: str, comment: str) -> dict[str, Any]:
        at = moment(self.facts.about.at)
        url = self.facts.about.url
        return {
            "type": kind,
            "spdxId": f"{self.base}#{tag}",
            "creationInfo": _CREATION,
            "name": name,
            "comment": comment,
            "software_primaryPurpose": purpose,
            "originatedBy": [self.agent],
            "builtTime": at,
            "releaseTime": at,
            **({"software_downloadLocation": url} if url else {}),
        }

    def whole(self) -> str:
        facts = self.facts
        shares = ", ".join(f"{origin}: {n}" for origin, n in facts.composition.items())
        ages = ", ".join(f"generation {name}: {n}" for name, n in facts.generations.items())
        package = self._package("dataset_DatasetPackage", "dataset", facts.name, "data", facts.description)
        package |= {
            "dataset_datasetType": ["image"],
            "dataset_datasetSize": facts.n,
            "dataset_dataCollectionProcess": (
                f"{len(facts.cohorts)} registered cohorts; origins recorded in signed append-only logs: "
                + "; ".join(f"{log.origin} size {log.size} root {log.root.hex()}" for log in facts.logs)
            ),
            "dataset_knownBias": [f"Composition by origin: {shares}.", f"Machine generations: {ages}."],
            "dataset_hasSensitivePersonalInformation": "noAssertion",
        }
        if facts.dataset is not None:
            # The Merkle root is no hash of a file, so it stands as an identifier.
            package["externalIdentifier"] = [
                {
                    "type": "ExternalIdentifier",
                    "externalIdentifierType": "other",
                    "identifier": f"genepool:root:{facts.dataset['root']}",
                    "comment": "RFC 6962 Merkle root over the sorted SHA-256 digests of the images",
                }
            ]
        self.elements.append(package)
        if facts.about.license:
            self._license(package["spdxId"])
        return str(package["spdxId"])

    def _license(self, package: str) -> None:
        """A declared licence, as a URL or an SPDX expression."""
        given = self.facts.about.license
        name = f"{self.base}#license"
        body: dict[str, Any] = {"spdxId": name, "creationInfo": _CREATION}
        if "://" in given:
            body |= {
                "type": "expandedlicensing_CustomLicense",
                "name": given,
                "simplelicensing_licenseText": f"See {given}",
            }
        else:
            body |= {"type": "simplelicensing_LicenseExpression", "simplelicensing_licenseExpression": given}
        self.elements.append(body)
        self.relate(package, "hasDeclaredLicense", [name])

    def cohort(self, number: int, name: str) -> str:
        record = self.facts.cohorts[name]
        package = self._package(
            "dataset_DatasetPackage",
            f"cohort-{number}",
            name,
            "data",
            f"{record.origin} images of generation {span(record.generation)}, attested by {record.key}",
        )
        package |= {"dataset_datasetType": ["image"], "dataset_datasetSize": record.n}
        if record.model:
            package["dataset_dataCollectionProcess"] = f"Generated by the model {record.model}."
        self.elements.append(package)
        return str(package["spdxId"])

    def model(self, number: int, name: str) -> str:
        record = self.facts.models[name]
        told = ", ".join(ref if share is None else f"{ref} ({share:.1%})" for ref, share in record.trained_on)
        package = self._package(
            "ai_AIPackage",
            f"model-{number}",
            name,
            "model",
            f"Its outputs are of generation {span(record.generation)}.",
        )
        package["ai_informationAboutTraining"] = f"Trained on {told}." + (
            f" Fine-tuned from {record.base}." if record.base else ""
        )
        self.elements.append(package)
        return str(package["spdxId"])

    def relate(self, source: str, kind: str, targets: Iterable[str]) -> None:
        found = list(targets)
        if not found:
            return
        self.relations += 1
        self.elements.append(
            {
                "type": "Relationship",
                "spdxId": f"{self.base}#relation-{self.relations}",
                "creationInfo": _CREATION,
                "from": source,
                "relationshipType": kind,
                "to": found,
            }
        )

    def document(self, whole: str) -> dict[str, Any]:
        profiles = ["core", "software", "simpleLicensing", "ai"]
        if self.facts.about.url:
            profiles.append("dataset")
        creation = {
            "type": "CreationInfo",
            "@id": _CREATION,
            "specVersion": "3.0.1",
            "created": moment(self.facts.about.at),
            "createdBy": [self.agent],
            "createdUsing": [self.tool],
        }
        document = {
            "type": "SpdxDocument",
            "spdxId": f"{self.base}#document",
            "creationInfo": _CREATION,
            "name": self.facts.name,
            "profileConformance": profiles,
            "rootElement": [whole],
            "element": [element["spdxId"] for element in self.elements],
        }
        return {"@context": _CONTEXT, "@graph": [creation, document, *self.elements]}
