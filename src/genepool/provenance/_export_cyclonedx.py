"""CycloneDX 1.6 (ECMA-424): cohorts as data components, models with model cards, their dependencies."""

from __future__ import annotations

import uuid
from typing import Any

import orjson

from genepool._version import __version__
from genepool.provenance._export_facts import Facts, moment, span

__all__ = ["cyclonedx"]


def cyclonedx(facts: Facts) -> bytes:
    """The bill of materials."""
    cohorts = {name: f"cohort-{n}" for n, name in enumerate(facts.cohorts)}
    models = {name: f"model-{n}" for n, name in enumerate(facts.models)}
    heads = "\n".join(f"{log.origin} {log.size} {log.root.hex()}" for log in facts.logs)
    body: dict[str, Any] = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        # The same heads at the same time give the same number.
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'{heads} {facts.about.at}')}",
        "version": 1,
        "metadata": {
            "timestamp": moment(facts.about.at),
            "tools": {"components": [{"type": "application", "name": "genepool", "version": __version__}]},
            "component": _whole(facts),
        },
        "components": [
            *(_cohort(facts, name, ref) for name, ref in cohorts.items()),
            *(_model(facts, name, ref, cohorts) for name, ref in models.items()),
        ],
        "dependencies": [
            {"ref": "dataset", "dependsOn": sorted(cohorts.values())},
            *(
                {"ref": ref, "dependsOn": _below(facts, name, cohorts, models)}
                for name, ref in models.items()
            ),
            *(
                {"ref": ref, "dependsOn": [models[facts.cohorts[name].model]]}
                for name, ref in cohorts.items()
                if facts.cohorts[name].model in models
            ),
        ],
    }
    return orjson.dumps(body, option=orjson.OPT_INDENT_2) + b"\n"


def _below(facts: Facts, name: str, cohorts: dict[str, str], models: dict[str, str]) -> list[str]:
    record = facts.models[name]
    names = [ref for ref, _ in record.trained_on] + [record.base]
    found = {cohorts.get(ref) or models.get(ref) for ref in names}
    return sorted(ref for ref in found if ref)


def _properties(**values: object) -> list[dict[str, str]]:
    return [
        {"name": f"genepool:{name}", "value": str(value)} for name, value in values.items() if value != ""
    ]


def _whole(facts: Facts) -> dict[str, Any]:
    about = facts.about
    numbers = {f"origin:{origin}": n for origin, n in facts.composition.items()}
    numbers |= {f"generation:{name}": n for name, n in facts.generations.items()}
    found: dict[str, Any] = {
        "type": "data",
        "bom-ref": "dataset",
        "name": facts.name,
        "description": facts.description,
        "data": [{"type": "dataset", "name": facts.name, "description": facts.description}],
        "properties": [
            *_properties(root=facts.dataset["root"] if facts.dataset else "", images=facts.n, **numbers),
            *_properties(decision=facts.decision["status"] if facts.decision else ""),
            *(
                {"name": "genepool:log", "value": f"{log.origin} {log.size} {log.root.hex()}"}
                for log in facts.logs
            ),
        ],
    }
    if about.creator:
        found["supplier"] = {"name": about.creator}
    if about.license:
        kind = "name" if "://" in about.license else "expression"
        found["licenses"] = (
            [{"license": {"name": about.license, "url": about.license}}]
            if kind == "name"
            else [{"expression": about.license}]
        )
    if about.url:
        found["externalReferences"] = [{"type": "distribution", "url": about.url}]
    return found


def _cohort(facts: Facts, name: str, ref: str) -> dict[str, Any]:
    record = facts.cohorts[name]
    return {
        "type": "data",
        "bom-ref": ref,
        "name": name,
        "data": [
            {
                "type": "dataset",
                "name": name,
                "contents": {
                    "properties": _properties(
                        origin=record.origin,
                        images=record.n,
                        generation=span(record.generation),
                        model=record.model,
                        root=record.root,
                    )
                },
            }
        ],
        "properties": _properties(key=record.key, trusted=str(record.trusted).lower(), log=record.log),
    }


def _model(facts: Facts, name: str, ref: str, cohorts: dict[str, str]) -> dict[str, Any]:
    record = facts.models[name]
    sets = [{"ref": cohorts[source]} for source, _ in record.trained_on if source in cohorts]
    found: dict[str, Any] = {
        "type": "machine-learning-model",
        "bom-ref": ref,
        "name": name,
        "modelCard": {"modelParameters": {"datasets": sets}},
        "properties": [
            *_properties(generation=span(record.generation), key=record.key, log=record.log),
            *(
                {"name": "genepool:trained-on", "value": source if share is None else f"{source}={share:g}"}
                for source, share in record.trained_on
            ),
        ],
    }
    if record.base:
        found["pedigree"] = {"ancestors": [{"type": "machine-learning-model", "name": record.base}]}
    return found
