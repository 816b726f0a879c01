"""What a C2PA manifest store says, once the C2PA library has verified it.

States (C2PA 2.2, "Validation states"): ``valid`` = signature, hashes and a chain to a trust anchor that the
user named; ``untrusted`` = signature and hashes are right, signer unknown; ``invalid`` = anything else.
An unknown signer alone never makes a manifest invalid, and an invalid one never proves anything human.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from genepool.evidence import _weights as weights
from genepool.evidence._archive import interval
from genepool.evidence._digitalsource import SourceType, source_type
from genepool.evidence._rights import Right, training_mining
from genepool.records import Evidence, OriginClass

State = Literal["valid", "untrusted", "invalid", "absent"]

GENERATION_LABEL = "org.genepool.generation"
"""Assertion that states the image's generation: ``{"lo": 1, "hi": 2}`` or ``{"generation": 1}``; it may also
name ``parents``, a list of SHA-256 digests in hex."""

_MAX_DEPTH = 32
_DIGEST = re.compile(r"[0-9a-f]{64}")
_TRAINING_MINING = ("cawg.training-mining", "c2pa.training-mining")
_BOUND = frozenset(
    {
        "assertion.dataHash.match",
        "assertion.boxesHash.match",
        "assertion.bmffHash.match",
        "assertion.multiAssetHash.match",
    }
)
_FORMAL = frozenset(
    {"signingCredential.untrusted", "signingCredential.expired", "assertion.action.malformed"}
)
"""Failures that leave the signature over the claim and the hash over the asset intact."""
_HARMLESS = frozenset({"signingCredential.untrusted"})


@dataclass(slots=True)
class Reading:
    """What was read from one manifest store.

    Attributes:
        state: As in the module's description; ``absent`` when there was nothing after all.
        evidence: Claims and notes.
        rights: Signals of the active manifest and of what it was derived from.
    """

    state: State
    evidence: list[Evidence] = field(default_factory=list)
    rights: list[Right] = field(default_factory=list)


@dataclass(slots=True)
class _Finding:
    """The origin that a manifest names or inherits, and how far the naming manifest's signer is trusted."""

    origin: OriginClass = OriginClass.UNKNOWN
    term: SourceType | None = None
    model: str = ""
    trusted: bool = False
    inherited: bool = False


def interpret(report: Mapping[str, Any], place: str) -> Reading:
    """Turn the library's report into evidence.

    Args:
        report: The JSON report of ``c2pa.Reader``.
        place: Where in the container the store lies.
    """
    store = _Store(report)
    reading = Reading(store.state)
    reference = f"{place} {weights.clean(store.active, 120)}".strip()
    for label, assertion, data in store.derived_assertions():
        if assertion in _TRAINING_MINING:
            reading.rights.extend(training_mining(assertion, data, weights.clean(label, 120)))
    if store.state == "invalid":
        reading.evidence.append(
            weights.note("c2pa", f"C2PA manifest is invalid: {', '.join(store.failures())}", reference)
        )
        if not store.intact:
            return reading
    finding = store.origin(store.active, frozenset())
    reading.evidence.extend(_evidence(store, finding, reference))
    return reading


def _evidence(store: _Store, finding: _Finding, reference: str) -> list[Evidence]:
    claim = weights.claim_of(finding.origin)
    if store.state == "invalid" and claim != "ai":
        return []
    trusted = store.state == "valid" and (finding.trusted or finding.term is None)
    named = finding.term.name if finding.term is not None else "no digital source type"
    how = {
        "valid": "signed by a trusted" if trusted else "signed by a trusted editor of an unknown",
        "untrusted": "signed by an unknown",
        "invalid": "signature and hash intact; expired or malformed, by",
    }[store.state]
    inherited = " (inherited)" if finding.inherited else ""
    return [
        weights.witness(
            "c2pa",
            claim,
            _weight(finding, trusted=trusted),
            origin=finding.origin.value if finding.term is not None else "",
            generation=store.generation(),
            model=finding.model if claim == "ai" else "",
            parents=store.parents(),
            reference=reference,
            detail=weights.clean(f"C2PA names {named}{inherited}; {how} signer {store.signer}", 300),
        )
    ]


def _weight(finding: _Finding, *, trusted: bool) -> weights.Weight:
    if finding.origin.is_ai:
        return weights.TRUSTED_AI if trusted else weights.UNTRUSTED_AI
    if not finding.origin.is_human:
        return weights.NOTHING
    if not trusted:
        return weights.UNTRUSTED_HUMAN
    captured = finding.term is not None and finding.term.name in weights.CAPTURE_TERMS
    return weights.TRUSTED_CAPTURE if captured else weights.TRUSTED_HUMAN


class _Store:
    """Typed access to a report whose every part may be missing or of another type."""

    def __init__(self, report: Mapping[str, Any]) -> None:
        self.manifests = _dict(report.get("manifests"))
        active = report.get("active_manifest")
        self.active = active if isinstance(active, str) else ""
        results = _dict(report.get("validation_results"))
        own = _dict(results.get("activeManifest"))
        self._success = {code for code, _ in _codes(own.get("success"))}
        self._failures = list(_codes(own.get("failure")))
        # Older manifests record what was found for their ingredients only in the flat list.
        everything = [*_codes(report.get("validation_status")), *self._failures]
        trusted = list(_codes(own.get("success")))
        for delta in _list(results.get("ingredientDeltas")):
            found = _dict(_dict(delta).get("validationDeltas"))
            everything.extend(_codes(found.get("failure")))
            trusted.extend(_codes(found.get("success")))
        self._all_failures = everything
        self._broken = {_label(url) for code, url in everything if code not in _HARMLESS}
        self._trusted = {_label(url) for code, url in trusted if code == "signingCredential.trusted"}
        self.state: State = "untrusted"
        if report.get("validation_state") not in ("Valid", "Trusted"):
            self.state = "invalid"
        elif "signingCredential.trusted" in self._success:
            self.state = "valid"

    @property
    def intact(self) -> bool:
        """Whether claim signature and asset hash verify and all failures are formal (an old certificate)."""
        codes = {code for code, _ in self._all_failures}
        return (
            "claimSignature.validated" in self._success and bool(_BOUND & self._success) and codes <= _FORMAL
        )

    @property
    def signer(self) -> str:
        """Organisation and name in the signing certificate."""
        info = _dict(self._manifest(self.active).get("signature_info"))
        names = [weights.clean(info.get(key), 100) for key in ("issuer", "common_name")]
        return " / ".join(name for name in names if name) or "(unnamed)"

    def failures(self) -> list[str]:
        """Failure codes, each once, in the library's order."""
        codes = [weights.clean(code, 80) for code, _ in self._all_failures if code not in _HARMLESS]
        return list(dict.fromkeys(codes))[:8] or ["unknown failure"]

    def _manifest(self, label: str) -> dict[str, Any]:
        return _dict(self.manifests.get(label))

    def _assertions(self, label: str) -> Iterator[tuple[str, Any]]:
        """``(label without instance number, data)`` of a manifest's assertions."""
        for assertion in _list(self._manifest(label).get("assertions")):
            name = _dict(assertion).get("label")
            if isinstance(name, str):
                yield name.partition("__")[0], _dict(assertion).get("data")

    def _ingredients(self, label: str) -> list[dict[str, Any]]:
        return [_dict(item) for item in _list(self._manifest(label).get("ingredients"))[:256]]

    def _parent(self, label: str) -> str:
        """The manifest that a manifest's asset was derived from, if its own record of it holds good."""
        for item in self._ingredients(label):
            if item.get("relationship") == "parentOf" and self._sound(item):
                return str(item["active_manifest"])
        return ""

    def _sound(self, ingredient: dict[str, Any]) -> bool:
        label = ingredient.get("active_manifest")
        if not isinstance(label, str) or label not in self.manifests or label in self._broken:
            return False
        then = _dict(_dict(ingredient.get("validation_results")).get("activeManifest"))
        recorded = [*_codes(ingredient.get("validation_status")), *_codes(then.get("failure"))]
        return all(code in _HARMLESS for code, _ in recorded)

    def derived_assertions(self) -> Iterator[tuple[str, str, Any]]:
        """``(manifest, label, data)`` of the active manifest and of the line of its parents."""
        label, seen = self.active, set[str]()
        while label and label not in seen and len(seen) < _MAX_DEPTH:
            seen.add(label)
            for name, data in self._assertions(label):
                yield label, name, data
            label = self._parent(label)

    def generation(self) -> tuple[int, int | None] | None:
        """The generation stated nearest to the asset, if any is."""
        for _, name, data in self.derived_assertions():
            if name == GENERATION_LABEL and isinstance(data, dict):
                stated = data.get("generation", [data.get("lo"), data.get("hi")])
                return interval(stated)
        return None

    def parents(self) -> tuple[str, ...]:
        """Digests of the images that the statement nearest to the asset names as parents."""
        for _, name, data in self.derived_assertions():
            if name == GENERATION_LABEL and isinstance(data, dict):
                named = (one for one in _list(data.get("parents"))[:256] if isinstance(one, str))
                return tuple(dict.fromkeys(one for one in named if _DIGEST.fullmatch(one)))
        return ()

    def origin(self, label: str, seen: frozenset[str]) -> _Finding:
        """The origin that a manifest names by its actions, else inherits.

        ``c2pa.created`` names what the asset began as; other actions with an AI source type are AI edits.
        Without a beginning, the asset is what its ``parentOf`` ingredient was. A manifest without any action
        and with a single ingredient merely wraps it (OpenAI's files do so). A component made by AI makes
        the whole at least mixed.
        """
        if label in seen or len(seen) >= _MAX_DEPTH:
            return _Finding()
        seen = seen | {label}
        begun, edits, any_action = self._actions(label)
        ingredients = [item for item in self._ingredients(label) if self._sound(item)]
        base = begun
        parents = [item for item in ingredients if item.get("relationship") == "parentOf"]
        if not parents and not any_action and len(self._ingredients(label)) == 1:
            parents = ingredients
        enhanced = (
            begun is not None and begun.term is not None and begun.term.name == "algorithmicallyEnhanced"
        )
        if parents and (begun is None or enhanced):
            inherited = self.origin(str(parents[0]["active_manifest"]), seen)
            if inherited.term is not None:
                base = inherited
                base.inherited = True
        for item in ingredients:
            if item not in parents and item.get("relationship") == "componentOf":
                part = self.origin(str(item["active_manifest"]), seen)
                if part.origin.is_ai:
                    part.inherited = True
                    edits.append(part)
        return self._combine(base, edits, parents=bool(parents))

    @staticmethod
    def _combine(base: _Finding | None, edits: list[_Finding], *, parents: bool) -> _Finding:
        if base is not None and base.origin is OriginClass.SYNTHETIC:
            return base
        ai = next((edit for edit in edits if edit.origin.is_ai), None)
        if ai is None:
            return base or _Finding()
        whole = base is None and not parents and not ai.inherited  # the only thing said is that AI made it
        ai.origin = ai.origin if whole else OriginClass.MIXED
        return ai

    def _actions(self, label: str) -> tuple[_Finding | None, list[_Finding], bool]:
        """``(beginning, edits, whether there is any action)``."""
        begun: _Finding | None = None
        edits: list[_Finding] = []
        any_action = False
        for name, data in self._assertions(label):
            if name not in ("c2pa.actions", "c2pa.actions.v2"):
                continue
            agents = _list(_dict(data).get("softwareAgents"))
            for action in _list(_dict(data).get("actions"))[:1024]:
                any_action = True
                stated = _dict(action).get("digitalSourceType")
                term = source_type(stated) if isinstance(stated, str) else None
                if term is None:
                    continue
                model = _agent(_dict(action), agents) or self._generator(label)
                finding = _Finding(term.origin, term, model, trusted=label in self._trusted)
                if _dict(action).get("action") == "c2pa.created":
                    begun = begun or finding
                else:
                    edits.append(finding)
        return begun, edits, any_action

    def _generator(self, label: str) -> str:
        """The program that made a manifest's claim."""
        manifest = self._manifest(label)
        info = _list(manifest.get("claim_generator_info"))
        first = _dict(info[0]) if info else {}
        named = weights.clean(f"{first.get('name') or ''} {first.get('version') or ''}", 200)
        return named or weights.clean(manifest.get("claim_generator"), 200)


def _agent(action: dict[str, Any], agents: list[Any]) -> str:
    """The software agent of an action: text, an object, or an index into the assertion's list."""
    agent = action.get("softwareAgent")
    index = action.get("softwareAgentIndex")
    if agent is None and isinstance(index, int) and 0 <= index < len(agents):
        agent = agents[index]
    if isinstance(agent, dict):
        return weights.clean(f"{agent.get('name') or ''} {agent.get('version') or ''}", 200)
    return weights.clean(agent, 200)


def _codes(entries: Any) -> Iterator[tuple[str, str]]:
    for entry in _list(entries):
        code, url = _dict(entry).get("code"), _dict(entry).get("url")
        if isinstance(code, str):
            yield code, url if isinstance(url, str) else ""


def _label(url: str) -> str:
    """The manifest that a status speaks of: ``self#jumbf=/c2pa/LABEL/c2pa.signature``, or the bare label."""
    parts = url.split("/")
    return parts[2] if len(parts) > 2 and parts[:2] == ["self#jumbf=", "c2pa"] else url


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
