"""What was set aside, and where the report itself comes from."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genepool.report._text import count, flatten, printable

if TYPE_CHECKING:
    from genepool.records import Decision

__all__ = ["about", "aside", "checks"]

ROWS, REASONS = 150, 40
MOST = 100_000_000
"""Bytes; no certificate is longer."""
LOG = {
    "log": "name",
    "ledger": "folder",
    "size": "entries",
    "root": "head: root hash of the tree",
    "decision": "leaf of this decision",
    "new": "origins added by this check",
    "known": "images whose origin was there already",
    "key": "signed by",
    "certificate": "certificate",
}
"""Names of what a seal says; the rest of it (where the private key lies) is nobody's business."""


def aside(decision: Decision) -> dict[str, Any] | None:
    """Files that are not part of the decision, each with its reason."""
    cases = decision.set_aside
    if not cases:
        return None
    reasons: dict[str, int] = {}
    for case in cases:
        reasons[case.reason] = reasons.get(case.reason, 0) + 1
    return {
        "total": count(len(cases)),
        "shown": count(min(len(cases), ROWS)),
        "all": len(cases) <= ROWS,
        "reasons": [
            (printable(r, 40), count(n))
            for r, n in sorted(reasons.items(), key=lambda kv: (-kv[1], kv[0]))[:REASONS]
        ],
        "rows": [
            (printable(c.uri, 160), printable(c.reason, 40), printable(c.code, 12), printable(c.message, 220))
            for c in cases[:ROWS]
        ],
    }


def checks(decision: Decision) -> list[tuple[str, str]]:
    """Commands with which anybody can check this report, each with what it shows."""
    path = shlex.quote(decision.uri)
    found = [(f"genepool verify {path}", "every origin against the log")]
    log = decision.extra.get("ledger")
    if isinstance(log, Mapping) and log.get("certificate"):
        certificate = shlex.quote(str(log["certificate"]))
        found.append((f"genepool verify {certificate} {path}", "the certificate, offline"))
    return [(printable(command, 600), words) for command, words in found]


def about(decision: Decision) -> list[tuple[str, list[tuple[str, str]]]]:
    """Tables: the data, the log's head, the certificate, versions, rules and configuration."""
    extra = decision.extra
    tables: list[tuple[str, list[tuple[str, str]]]] = [
        (
            "Data",
            [
                ("dataset", printable(decision.uri, 300)),
                ("readable images", count(decision.n)),
                ("Merkle root of their digests", printable(decision.root, 80)),
            ],
        )
    ]
    approved = extra.get("approved")
    if isinstance(approved, Mapping) and approved:
        names = {"n": "images", "root": "Merkle root of their digests"}
        rows = [(names.get(key, key), value) for key, value in flatten(approved)[:20]]
        tables.append(("Approved part", rows))
    log = extra.get("ledger")
    if isinstance(log, Mapping) and log:
        told = flatten({LOG[key]: log[key] for key in LOG if log.get(key) not in (None, "")})
        rest = flatten({k: v for k, v in log.items() if k not in LOG and not k.startswith("key_")})
        tables.append(("Log head", (told + rest)[:60]))
    tables.append(("Certificate", _certificate(decision, log if isinstance(log, Mapping) else {})))
    for title, key in (("Versions", "versions"), ("Pixel judge", "detector"), ("Time", "timing")):
        if isinstance(extra.get(key), Mapping) and extra[key]:
            tables.append((title, flatten(extra[key])[:60]))
    return tables + _policy(decision)


def _certificate(decision: Decision, log: Mapping[str, Any]) -> list[tuple[str, str]]:
    place = str(log.get("certificate") or "")
    if not place:
        why = "only a set that passes the whole policy has one"
        return [("none", "the set did not pass" if decision.status != "pass" else why)]
    return [("file", printable(place, 300)), ("SHA-256", _digest(Path(place)))]


def _digest(file: Path) -> str:
    try:
        if not file.is_file() or file.stat().st_size > MOST:
            return "no such certificate is there any more"
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except (OSError, ValueError):  # not readable, or a name that no system can hold
        return "no such certificate is there any more"


def _policy(decision: Decision) -> list[tuple[str, list[tuple[str, str]]]]:
    config = decision.extra.get("config")
    if not isinstance(config, Mapping) or not config:
        return [("Policy", flatten(decision.policy)[:120])] if decision.policy else []
    tables = []
    rules = decision.policy.get("rules")
    if isinstance(rules, (list, tuple)) and rules:
        rows = [("applied", printable(", ".join(map(str, rules)), 300))]
        if skipped := decision.policy.get("not_applied"):
            rows.append(("not applied", printable(", ".join(map(str, skipped)), 300)))
        tables.append(("Rules", rows))
    return [*tables, ("Configuration", flatten(config)[:120])]
