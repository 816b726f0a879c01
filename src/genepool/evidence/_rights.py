"""What the owner allows: training and data-mining signals, read from C2PA, XMP and the sidecar.

Sources: CAWG training and data mining assertion 1.1 (``cawg.training-mining``) and its forerunner
``c2pa.training-mining`` (C2PA 1.3); PLUS licence data format, Data Mining vocabulary (IPTC 2023.1); W3C
TDM Reservation Protocol (2024), XMP properties.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from genepool.evidence._weights import clean

Value = Literal["allowed", "notAllowed", "constrained"]

_USES = {"allowed": "allowed", "notallowed": "notAllowed", "constrained": "constrained"}
_PLUS = "ns.useplus.org/ldf/vocab/"
_PLUS_VALUES: dict[str, Value] = {
    "dmi-allowed": "allowed",
    "dmi-prohibited": "notAllowed",
    "dmi-prohibited-aimltraining": "notAllowed",
    "dmi-prohibited-genaimltraining": "notAllowed",
    "dmi-prohibited-exceptsearchengineindexing": "notAllowed",
    "dmi-prohibited-seeconstraint": "constrained",
    "dmi-prohibited-seeembeddedrightsexpr": "constrained",
    "dmi-prohibited-seelinkedrightsexpr": "constrained",
}
_INFERENCE = "ai_inference"


@dataclass(frozen=True, slots=True)
class Right:
    """One signal about one use.

    Attributes:
        signal: The use, by the name its vocabulary gives it: ``cawg.ai_generative_training``,
            ``c2pa.data_mining``, ``plus:DataMining``, ``tdm:reservation`` …
        value: ``allowed``, ``notAllowed`` or ``constrained`` (ask the owner).
        reference: Where it was found, and the constraint or policy where one is named.
    """

    signal: str
    value: Value
    reference: str = ""

    def to_json(self) -> dict[str, str]:
        """The object that the catalogue's ``rights`` column holds."""
        return {"signal": self.signal, "value": self.value, "reference": self.reference}


def opts_out(rights: Iterable[Right | Mapping[str, str]]) -> bool:
    """Whether the owner forbids training a model on the image.

    A ban on *inference* alone is no ban on training. ``constrained`` is not a ban; it needs a person.

    Args:
        rights: `Right` objects or the plain objects of the catalogue's ``rights`` column.
    """
    for right in rights:
        plain = right.to_json() if isinstance(right, Right) else right
        if plain.get("value") == "notAllowed" and not plain.get("signal", "").endswith(_INFERENCE):
            return True
    return False


def training_mining(label: str, data: object, reference: str) -> list[Right]:
    """Signals of a training-mining assertion, ``{"entries": {"cawg.ai_training": {"use": "notAllowed"}}}``.

    Entries of other shapes are ignored: an assertion is a stranger's JSON.
    """
    entries = data.get("entries") if isinstance(data, dict) else None
    rights: list[Right] = []
    if not isinstance(entries, dict):
        return rights
    for name, entry in list(entries.items())[:32]:
        use = entry.get("use") if isinstance(entry, dict) else None
        value: Any = _USES.get(use.replace(" ", "").lower()) if isinstance(use, str) else None
        if value is None:
            continue
        info = clean(entry.get("constraint_info") or entry.get("constraints_info") or "", 200)
        where = f"{label} {reference}".strip()
        rights.append(Right(clean(name, 80), value, f"{where}: {info}" if info else where))
    return rights


def data_mining(value: str, constraints: str = "") -> list[Right]:
    """The signal of ``plus:DataMining``: one term of the PLUS vocabulary, else nothing."""
    folded = value.strip().lower()
    for scheme in ("https://", "http://"):
        folded = folded.removeprefix(scheme)
    verdict = _PLUS_VALUES.get(folded.removeprefix(_PLUS))
    if verdict is None:
        return []
    more = f": {clean(constraints, 200)}" if constraints else ""
    return [Right("plus:DataMining", verdict, f"XMP {clean(value.strip().rpartition('/')[2], 80)}{more}")]


def reservation(value: str, policy: str = "") -> list[Right]:
    """The signal of ``tdm:reservation``: 1 reserves the rights, 0 does not."""
    verdict: dict[str, Value] = {"1": "notAllowed", "0": "allowed"}
    found = verdict.get(value.strip())
    if found is None:
        return []
    more = f": {clean(policy, 200)}" if policy else ""
    return [Right("tdm:reservation", found, f"XMP{more}")]
