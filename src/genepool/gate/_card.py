"""A dataset card (Hugging Face's ``README.md``): what a set is made of, how that is known, and what binds it.

Every number stands with its interval, n and method, and says on which images it was measured.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genepool.dataset import Manifest
    from genepool.records import Decision, Measure

__all__ = ["card"]

_SIZES = (
    (10**3, "n<1K"),
    (10**4, "1K<n<10K"),
    (10**5, "10K<n<100K"),
    (10**6, "100K<n<1M"),
    (10**7, "1M<n<10M"),
    (10**8, "10M<n<100M"),
    (10**9, "100M<n<1B"),
)
_LICENSE = re.compile(r"[a-z0-9][a-z0-9.-]{1,40}")
_TIERS = {
    "proven": "a signature with a trusted chain binds the claim to the bytes",
    "attested": "a trusted key's entry in the log",
    "declared": "unsigned metadata or a sidecar",
    "recovered": "found again by its looks",
    "inferred": "a detector's opinion",
    "unknown": "nothing is known",
}


def card(
    title: str,
    manifest: Manifest,
    tallies: Mapping[str, Mapping[str, int]],
    decision: Decision | None,
    licenses: Mapping[str, int],
) -> str:
    """The text of ``README.md``.

    Args:
        title: Name of the set.
        manifest: What was written.
        tallies: ``origin``, ``tier`` and ``generation`` of the images that were written, counted.
        decision: Of the last check on the set that these images come from; None: there was none.
        licenses: Licence that a sidecar names → how many images name it.
    """
    parts = [
        _front(title, manifest, licenses),
        f"# {_plain(title)}\n",
        _summary(manifest, tallies, decision),
        _table("Origins", "How it is known", tallies.get("tier", {}), _TIERS),
        _table("Made by", "", tallies.get("origin", {}), {}),
        _table("Generations", "0 is human work", tallies.get("generation", {}), {}),
        _numbers(manifest, decision),
        _log(decision),
        _check(manifest),
    ]
    return "\n".join(part for part in parts if part)


def _front(title: str, manifest: Manifest, licenses: Mapping[str, int]) -> str:
    """The YAML header; its values are JSON, of which YAML 1.2 is a superset (section 1.3)."""
    import orjson

    size = next((name for bound, name in _SIZES if manifest.n < bound), "n>1T")
    fields: dict[str, Any] = {
        "pretty_name": _plain(title),
        "size_categories": [size],
        "tags": ["genepool", "provenance", "image"],
    }
    named = sum(licenses.values())
    if len(licenses) == 1 and named == manifest.n:
        (name,) = licenses
        word = name.strip().lower().replace(" ", "-")
        fields["license"] = word if _LICENSE.fullmatch(word) else "other"
        if fields["license"] == "other":
            fields["license_name"] = _plain(name)[:100]
    elif licenses:
        # One image under a licence does not put the others under it.
        fields["license"] = "other"
        fields["license_name"] = f"by image: {len(licenses)} named, by {named:,} of {manifest.n:,} images"
    lines = [f"{key}: {orjson.dumps(value).decode()}" for key, value in sorted(fields.items())]
    return "\n".join(["---", *lines, "---", ""])


def _summary(manifest: Manifest, tallies: Mapping[str, Mapping[str, int]], decision: Decision | None) -> str:
    origins = tallies.get("origin", {})
    human = sum(origins.get(name, 0) for name in ("captured", "human_made"))
    text = f"{manifest.n:,} images, of which {human:,} are verified human work."
    if decision is None:
        return f"{text} They were exported without a decision: no policy was applied.\n"
    verdict = {"pass": "passed", "fail": "failed", "undecided": "was left undecided by"}[decision.status]
    failed = ", ".join(failure.code for failure in decision.failures)
    why = f" ({failed})" if failed else ""
    return (
        f"{text} The set of {decision.n:,} images that they come from {verdict} genepool's check{why}; "
        f"what was found against an image left it out.\n"
    )


def _table(head: str, note: str, counts: Mapping[str, int], words: Mapping[str, str]) -> str:
    if not counts:
        return ""
    total = sum(counts.values())
    lines = [f"## {head}\n", *([f"{note}.\n"] if note and not words else [])]
    lines += [
        "| | images | share |" + (f" {note} |" if words else ""),
        "|---|--:|--:|" + ("---|" if words else ""),
    ]
    for name, n in counts.items():
        lines.append(
            f"| {_plain(name)} | {n:,} | {n / total:.1%} |" + (f" {words.get(name, '')} |" if words else "")
        )
    return "\n".join([*lines, ""])


def _numbers(manifest: Manifest, decision: Decision | None) -> str:
    if decision is None:
        return ""
    approved = decision.extra.get("approved", {})
    if approved.get("root") == manifest.root:
        which = "Measured on exactly these images."
    else:
        which = (
            f"Measured on the {approved.get('n', decision.n):,} images that the check decided on (root "
            f"`{str(approved.get('root', decision.root))[:16]}…`), not on the {manifest.n:,} of this export."
        )
    unknown = int(decision.extra.get("generations", {}).get("no origin", 0))
    rows = [_row(measure, unknown) for measure in decision.measures.values() if measure.value is not None]
    remarks = [
        f"The generation is the highest known one; it has no upper end: {unknown:,} of the images are of no "
        "verified origin and may be of any generation.\n"
    ]
    remarks = remarks if unknown and "generation" in decision.measures else []
    return "\n".join(
        [
            "## Numbers\n",
            which + "\n",
            "| | value | interval | n | bound | method |",
            "|---|--:|---|--:|---|---|",
            *rows,
            "",
            *remarks,
        ]
    )


def _row(m: Measure, unknown: int) -> str:
    """A line of the table. With ``unknown`` images of no verified origin no generation has an upper end."""
    digits = 0 if m.name == "generation" else 3
    value = "" if m.value is None else f"{m.value:.{digits}f}"
    ends = "" if m.lower is None or m.upper is None else f"[{m.lower:.{digits}f}, {m.upper:.{digits}f}]"
    if m.name == "generation" and m.lower is not None and (unknown or m.upper is None):
        ends = f"{m.lower:.0f} or later"
    bound = "" if m.bound is None else f"{m.bound_kind} {m.bound:g}"
    title = "guaranteed human ratio" if m.name == "human_ratio" else m.title
    return f"| {title} | {value} | {ends} | {m.n:,} | {bound} | {_plain(m.method)} |"


def _log(decision: Decision | None) -> str:
    ledger = decision.extra.get("ledger") if decision is not None else None
    if not ledger:
        return ""
    lines = [
        "## Log of origins\n",
        "The origin of every image is sealed in an append-only signed log.\n",
        f"- log: `{_plain(ledger.get('log', ''))}`",
        f"- head: {ledger.get('size', 0):,} entries, root `{_plain(ledger.get('root', ''))}`",
        f"- key: `{_plain(ledger.get('key', ''))}`",
    ]
    return "\n".join([*lines, ""])


def _check(manifest: Manifest) -> str:
    return "\n".join(
        [
            "## Check it yourself\n",
            "`manifest.jsonl` lists the SHA-256 of every image; their Merkle root (RFC 6962) is "
            f"`{manifest.root}`. With genepool installed:\n",
            "```",
            "genepool check .",
            "```",
            "",
        ]
    )


def _plain(text: object) -> str:
    """Words from outside made fit for a line of Markdown."""
    words = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    return re.sub(r"([|<>`\[\]*_\\])", r"\\\1", words) if re.search(r"[|<>`\[\]*\\]", words) else words
