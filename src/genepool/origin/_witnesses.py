"""What keys, people and the detector say, as evidence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from genepool.detection import CAP, Opinion
from genepool.records import Attestation, Evidence, OriginClass, Verdict

__all__ = ["attested", "judged", "seen"]

# Natural-log likelihood ratios; the reasons stand beside `genepool.evidence`'s table. A trusted key's entry
# weighs what a trusted C2PA chain weighs.
_TRUSTED = 6.0
_UNTRUSTED_AI = 3.0
_UNTRUSTED_HUMAN = 0.5
# One look by one person. Published accuracies of unaided people are 54 to 62 %: log(.62/.38) = 0.49.
_LOOK = 0.5
_LOOKS = 2.0


def attested(claim: Attestation) -> Evidence | None:
    """A log entry about these bytes or pixels as evidence; None where it claims nothing."""
    try:
        kind = OriginClass(claim.origin)
    except ValueError:
        return None
    if kind is OriginClass.UNKNOWN:
        return None
    # "Looks the same" proves nothing: a picture made from a photograph looks like it.
    hard = claim.trusted and claim.matched_by != "phash"
    side = "ai" if kind.is_ai else "human" if kind.is_human else "algorithmic"
    strength = _TRUSTED if hard else {"ai": _UNTRUSTED_AI, "human": _UNTRUSTED_HUMAN}.get(side, 0.0)
    if side == "human" and claim.matched_by == "phash":
        # A machine's version of a photograph looks like the photograph: that says nothing for a person.
        side, strength = "none", 0.0
    llr = {"ai": strength, "human": -strength}.get(side, 0.0)
    who = f"key {claim.key}" if claim.trusted else f"key {claim.key}, which the trust policy does not know"
    where = f", cohort {claim.cohort}" if claim.cohort else ""
    return Evidence(
        kind="recovered" if claim.matched_by == "phash" else "attestation",
        claim=side,  # type: ignore[arg-type]  # one of the three words above
        llr=llr,
        cap=strength,
        hard=hard,
        origin=kind.value,
        generation=claim.generation if side == "ai" else None,
        model=claim.model,
        reference=claim.log,
        detail=f"{kind.value} by {who}{where} (found by {claim.matched_by})",
    )


def judged(verdicts: Iterable[Verdict]) -> Mapping[str, Evidence]:
    """People's verdicts, one piece of evidence per image (sha256 in hex).

    A reviewer's last word counts, once. Controls measure the reviewer, not the image.
    """
    last: dict[str, dict[str, str]] = {}
    for verdict in sorted(verdicts, key=lambda v: v.at):
        if not verdict.control:
            last.setdefault(verdict.sha256, {})[verdict.reviewer] = verdict.answer
    found: dict[str, Evidence] = {}
    for sha256, answers in last.items():
        ai = sum(answer == "ai" for answer in answers.values())
        human = sum(answer == "human" for answer in answers.values())
        llr = _LOOK * (ai - human)
        found[sha256] = Evidence(
            kind="verdict",
            claim="ai" if llr > 0 else "human" if llr < 0 else "none",
            llr=llr,
            cap=_LOOKS,
            detail=f"of {len(answers)} reviewers {human} say human, {ai} say AI",
        )
    return found


def seen(opinion: Opinion) -> Evidence | None:
    """The detector's opinion as evidence; None where it has no vote."""
    if opinion.llr == 0.0:
        return None
    return Evidence(
        kind="detector",
        claim="ai" if opinion.llr > 0 else "human",
        llr=opinion.llr,
        cap=CAP,
        model=opinion.model,
        detail=f"{opinion.model} decides {opinion.verdict}: {opinion.reason}",
    )
