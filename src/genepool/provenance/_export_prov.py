"""W3C PROV as PROV-JSON (W3C Member Submission, 24 April 2013), terms of PROV-DM (W3C Recommendation).

Cohorts, models and checked sets are entities; registering, training, generating and checking are activities;
keys are agents. Images appear where the log names their parents.
"""

from __future__ import annotations

from typing import Any

import orjson

from genepool.provenance._export_facts import Facts, moment, span

__all__ = ["prov"]

_Document = dict[str, dict[str, dict[str, Any]]]


def prov(facts: Facts) -> bytes:
    """The document."""
    head = facts.logs[0].root.hex()[:16] if facts.logs else "empty"
    relations = (
        "entity activity agent wasGeneratedBy used wasAttributedTo wasAssociatedWith wasDerivedFrom hadMember"
    )
    document: _Document = {name: {} for name in relations.split()}
    builder = _Builder(document)
    cohorts = {name: f"g:cohort-{n}" for n, name in enumerate(facts.cohorts)}
    models = {name: f"g:model-{n}" for n, name in enumerate(facts.models)}
    for state in facts.logs:
        for batch in state.batches:
            builder.agent(batch.key.id)
    for name, record in facts.cohorts.items():
        said = {"gp:origin": record.origin, "gp:images": record.n, "gp:generation": span(record.generation)}
        root = {"gp:root": record.root} if record.root else {}
        builder.entity(cohorts[name], "gp:Cohort", name, **said, **root)
        builder.attribute(cohorts[name], record.key)
    for name, model in facts.models.items():
        builder.entity(models[name], "gp:Model", name, **{"gp:generation": span(model.generation)})
        builder.attribute(models[name], model.key)
        training = f"g:training-{models[name].removeprefix('g:model-')}"
        builder.activity(training, "gp:Training", f"training of {name}")
        builder.relate("wasGeneratedBy", {"prov:entity": models[name], "prov:activity": training})
        for ref, share in model.trained_on:
            source = cohorts.get(ref) or models.get(ref) or builder.other(ref)
            portion = {} if share is None else {"gp:share": _number(share)}
            builder.relate("used", {"prov:activity": training, "prov:entity": source, **portion})
            builder.derive(models[name], source)
        if model.base:
            builder.derive(models[name], models.get(model.base) or builder.other(model.base))
    for name, record in facts.cohorts.items():
        if record.model in models:
            making = f"g:generation-{cohorts[name].removeprefix('g:cohort-')}"
            builder.activity(making, "gp:Generation", f"{record.model} makes {name}")
            builder.relate("used", {"prov:activity": making, "prov:entity": models[record.model]})
            builder.relate("wasGeneratedBy", {"prov:entity": cohorts[name], "prov:activity": making})
            builder.derive(cohorts[name], models[record.model])
    _checked(facts, builder)
    _images(facts, builder, cohorts)
    body = {
        "prefix": {
            "g": f"urn:genepool:log:{head}:",
            "gp": "urn:genepool:terms:",
        },
        **{name: found for name, found in document.items() if found},
    }
    return orjson.dumps(body, option=orjson.OPT_INDENT_2) + b"\n"


def _checked(facts: Facts, builder: _Builder) -> None:
    """The last set that was checked, and its decision."""
    if facts.dataset is None:
        return
    said = {"gp:root": facts.dataset["root"], "gp:images": facts.dataset["n"]}
    builder.entity("g:dataset", "gp:Dataset", facts.name, **said)
    if facts.decision is None:
        return
    at = moment(facts.decision["at"])
    builder.activity("g:check", "gp:Check", "genepool check", **{"prov:startTime": at, "prov:endTime": at})
    builder.relate("used", {"prov:activity": "g:check", "prov:entity": "g:dataset"})
    status = {"gp:status": facts.decision["status"], "gp:digest": facts.decision["digest"]}
    builder.entity("g:decision", "gp:Decision", f"decision: {facts.decision['status']}", **status)
    builder.relate("wasGeneratedBy", {"prov:entity": "g:decision", "prov:activity": "g:check"})
    builder.derive("g:decision", "g:dataset")


def _images(facts: Facts, builder: _Builder, cohorts: dict[str, str]) -> None:
    """Images with parents, and those parents."""
    for image in facts.images():
        if not image.parents:
            continue
        name = f"g:sha256-{image.sha256}"
        said = {"gp:origin": image.origin, "gp:generation": span(image.generation)}
        builder.entity(name, "gp:Image", image.sha256[:16], **said)
        if image.cohort in cohorts:
            builder.relate("hadMember", {"prov:collection": cohorts[image.cohort], "prov:entity": name})
        for parent in image.parents:
            builder.entity(f"g:sha256-{parent}", "gp:Image", parent[:16])
            builder.derive(name, f"g:sha256-{parent}")


class _Builder:
    """Collects records; a record that is named twice keeps its first words."""

    def __init__(self, document: _Document) -> None:
        self.document = document
        self._agents: dict[str, str] = {}
        self._others: dict[str, str] = {}

    def entity(self, name: str, kind: str, label: str, **attributes: Any) -> None:
        found = self.document["entity"].setdefault(name, {"prov:type": _term(kind), "prov:label": label})
        for key, value in attributes.items():
            found.setdefault(key, _number(value) if isinstance(value, (int, float)) else value)

    def activity(self, name: str, kind: str, label: str, **attributes: Any) -> None:
        self.document["activity"][name] = {"prov:type": _term(kind), "prov:label": label, **attributes}

    def agent(self, key: str) -> str:
        if key not in self._agents:
            self._agents[key] = f"g:key-{len(self._agents)}"
            self.document["agent"][self._agents[key]] = {"prov:type": _term("gp:Key"), "prov:label": key}
        return self._agents[key]

    def other(self, name: str) -> str:
        """Something that the logs only mention."""
        if name not in self._others:
            self._others[name] = f"g:mentioned-{len(self._others)}"
            self.entity(self._others[name], "gp:Mentioned", name)
        return self._others[name]

    def attribute(self, entity: str, key: str) -> None:
        if key:
            self.relate("wasAttributedTo", {"prov:entity": entity, "prov:agent": self.agent(key)})

    def derive(self, entity: str, source: str) -> None:
        self.relate("wasDerivedFrom", {"prov:generatedEntity": entity, "prov:usedEntity": source})

    def relate(self, relation: str, record: dict[str, Any]) -> None:
        group = self.document[relation]
        group[f"_:{relation}-{len(group)}"] = record


def _term(name: str) -> dict[str, str]:
    return {"$": name, "type": "prov:QUALIFIED_NAME"}


def _number(value: float) -> dict[str, str]:
    return {"$": str(value), "type": "xsd:int" if isinstance(value, int) else "xsd:double"}
