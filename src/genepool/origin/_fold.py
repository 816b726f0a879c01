"""The fold: a set of evidence in, one origin out. Pure, order-free, idempotent.

Log-likelihood ratios are added over kinds, each kind by its strongest piece on each side and within its cap
(I. J. Good, *Probability and the Weighing of Evidence*, 1950; the caps keep one witness, however sure, from
deciding alone, and pieces of one kind are too correlated to add up). A generator's parameters and an XMP
source type are unsigned marks that one program writes into one file: together they are one kind, capped at 3.
What decides is the kind of evidence, not the sum: see `fold`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from genepool.errors import UsageError
from genepool.lineage import Interval
from genepool.records import Evidence, Origin, OriginClass

__all__ = ["PRIOR", "Settled", "fold", "settle_evidence"]

PRIOR = 0.5
"""Prior probability of human: nothing is known about how common machine pictures are in a set."""

# Looks, not marks: they estimate, and can be wrong about any single image.
_OPINIONS = frozenset({"detector", "verdict", "recovered"})
# Unsigned marks of one file, written by the same hand: correlated, so that they share one cap.
_UNSIGNED = frozenset({"xmp", "generator"})
_UNSIGNED_CAP = 3.0
# A plug-in's witness: below the weight of an unsigned mark it is one more opinion.
_READER = "reader:"
_RANK = {"proven": 5, "attested": 4, "declared": 3, "recovered": 2, "inferred": 1, "unknown": 0}


@dataclass(frozen=True, slots=True)
class Settled:
    """An origin, and what in the claims contradicts the pedigree (empty: nothing)."""

    origin: Origin
    finding: str = ""


def fold(evidence: Iterable[Evidence], *, prior: float = PRIOR, ancestry: Interval | None = None) -> Origin:
    """Settle one image's origin.

    1. A trusted human claim (`Evidence.hard`, or a date from a trusted archive) and a mark of machine origin
       on the same image: disputed. It counts as neither.
    2. A mark of machine origin, hard or not: AI. Nobody gains by claiming it falsely.
    3. A trusted human claim: human.
    4. A claim that a program without a model computed it: algorithmic.
    5. Looks like a registered AI image: AI, recovered.
    6. Anything else (unsigned human claims, people's verdicts, detectors, a plug-in's witness below the
       weight of an unsigned mark) leaves the origin unknown and moves ``p_human``.

    Generations: human 0; machine-made at least 1 and at least whatever anybody claims; the upper end comes
    only from the pedigree or from a trusted claim, because a low claimed generation is as self-serving as a
    claim to be human.

    Args:
        evidence: In any order, repeats allowed.
        prior: Prior probability of human, in (0, 1).
        ancestry: Generation computed from the pedigree, if any: ``(lo, hi)``, hi None = no upper end.

    Returns:
        The origin; reasons strongest first.

    Raises:
        UsageError: A prior outside (0, 1).
    """
    return settle_evidence(evidence, prior=prior, ancestry=ancestry).origin


def settle_evidence(
    evidence: Iterable[Evidence], *, prior: float = PRIOR, ancestry: Interval | None = None
) -> Settled:
    """As `fold`, with the contradiction between claimed and computed generation, if any."""
    if not 0.0 < prior < 1.0:
        raise UsageError(f"origin: expected a prior in (0, 1), found {prior}")
    items = sorted(set(evidence), key=_key)
    sure_human = [e for e in items if e.claim == "human" and _is_fact(e)]
    marks = [e for e in items if e.claim == "ai" and not _is_opinion(e)]
    computed = [e for e in items if e.claim == "algorithmic" and not _is_opinion(e)]
    found = [e for e in items if e.claim == "ai" and e.kind == "recovered"]
    p = _posterior(items, prior)
    if sure_human and (marks or any(e.hard for e in computed)):
        head = "disputed: a trusted human claim and a mark of machine origin contradict each other"
        return Settled(_origin(OriginClass.UNKNOWN, "disputed", items, min(p, 0.5), (0, None), head))
    if marks or (found and not sure_human and not computed):
        return _machine(items, marks or found, min(p, 0.5), ancestry)
    if sure_human:
        kind = _class(sure_human, OriginClass.HUMAN_MADE, human=True)
        return Settled(_origin(kind, "settled", sure_human, max(p, 0.5), (0, 0), "", items))
    if computed:
        return Settled(_origin(OriginClass.ALGORITHMIC, "settled", computed, p, (0, 0), "", items))
    return Settled(_origin(OriginClass.UNKNOWN, "unknown", items, p, (0, None), ""))


def _is_fact(e: Evidence) -> bool:
    # The evidence room hands out `archive` only for sources that the configuration trusts.
    return e.hard or (e.kind == "archive" and e.claim == "human")


def _is_opinion(e: Evidence) -> bool:
    return e.kind in _OPINIONS or (e.kind.startswith(_READER) and abs(e.weight) < _UNSIGNED_CAP)


def _key(e: Evidence) -> tuple[float, str, str, str, str, str]:
    return (-abs(e.weight), e.kind, e.claim, e.detail, e.reference, repr(e))


def _tier(e: Evidence) -> str:
    if e.kind == "c2pa" and e.hard:
        return "proven"
    if e.kind == "attestation":
        return "attested" if e.hard else "declared"
    if e.kind == "recovered":
        return "recovered"
    if _is_opinion(e):
        return "inferred"
    return "declared"


def _posterior(items: Sequence[Evidence], prior: float) -> float:
    """P(human), from the strongest capped piece of each kind on each side."""
    strongest: dict[tuple[str, bool], float] = {}
    for e in items:
        weight = e.weight
        # A claim can never speak for the other side, whatever number it carries.
        if (e.claim == "ai" and weight < 0) or (e.claim == "human" and weight > 0) or math.isnan(e.llr):
            continue
        kind = e.kind
        if kind in _UNSIGNED and not e.hard:
            kind, weight = "unsigned", max(-_UNSIGNED_CAP, min(_UNSIGNED_CAP, weight))
        side = (kind, weight > 0)
        if abs(weight) > abs(strongest.get(side, 0.0)):
            strongest[side] = weight
    logit = math.fsum([math.log((1 - prior) / prior), *strongest.values()])
    return 1.0 / (1.0 + math.exp(min(700.0, logit)))


def _class(items: Sequence[Evidence], default: OriginClass, *, human: bool) -> OriginClass:
    """The class that the best tier names; the first in order where it names several."""
    named = []
    for e in items:
        try:
            kind = OriginClass(e.origin)
        except ValueError:
            continue
        if kind.is_human if human else kind.is_ai:
            named.append((-_RANK[_tier(e)], -abs(e.weight), kind.value))
    return OriginClass(min(named)[2]) if named else default


def _machine(
    items: Sequence[Evidence], marks: Sequence[Evidence], p: float, ancestry: Interval | None
) -> Settled:
    claims = [e for e in items if e.generation is not None and e.claim in ("ai", "none")]
    lows = [e.generation[0] for e in claims if e.generation is not None]
    trusted = [e.generation[1] for e in claims if e.hard and e.generation is not None]
    highs = [hi for hi in trusted if hi is not None]
    computed_lo, computed_hi = ancestry or (1, None)
    lo = max(1, computed_lo, *lows)
    hi = computed_hi if computed_hi is not None else min(highs) if highs else None
    finding = ""
    for e in claims:
        top = e.generation[1] if e.generation is not None else None
        if top is not None and top < max(1, computed_lo):
            finding = f"{e.kind} claims generation {top}, the pedigree gives at least {max(1, computed_lo)}"
            break
    kind = _class(marks, OriginClass.SYNTHETIC, human=False)
    head = f"generation: {finding}" if finding else ""
    interval = (lo, None if hi is None else max(hi, lo))
    return Settled(_origin(kind, "settled", marks, p, interval, head, items), finding)


def _origin(
    kind: OriginClass,
    status: str,
    deciding: Sequence[Evidence],
    p: float,
    generation: Interval,
    head: str,
    items: Sequence[Evidence] | None = None,
) -> Origin:
    everything = deciding if items is None else items
    tiers = [_tier(e) for e in deciding if e.claim != "none"]
    named = [e for e in everything if e.model and e.claim != "human" and e.kind != "detector"]
    named.sort(key=lambda e: (-_RANK[_tier(e)], *_key(e)))
    settled = status == "settled"
    reasons = [_sentence(e) for e in everything]
    return Origin(
        origin=kind,
        tier=max(tiers, key=_RANK.__getitem__, default="unknown"),  # type: ignore[arg-type]
        status=status,  # type: ignore[arg-type]
        human=settled and kind.is_human,
        ai=settled and kind.is_ai,
        p_human=p,
        lo=generation[0],
        hi=generation[1],
        model=named[0].model if named and not (settled and kind.is_human) else "",
        reasons=tuple(dict.fromkeys([*([head] if head else []), *reasons])),
    )


def _sentence(e: Evidence) -> str:
    text = e.detail or (f"speaks for {e.claim}" if e.claim != "none" else "says nothing about the origin")
    weight = f" ({e.weight:+.1f})" if e.weight else ""
    return f"{e.kind}: {text}{weight}"
