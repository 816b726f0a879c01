"""What must hold for every set of evidence."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from genepool.origin import fold
from genepool.records import Evidence, OriginClass

HUMAN = [c.value for c in OriginClass if c.is_human]
AI = [c.value for c in OriginClass if c.is_ai]
KINDS = {
    "ai": [
        "c2pa",
        "xmp",
        "exif",
        "generator",
        "watermark",
        "attestation",
        "detector",
        "verdict",
        "recovered",
        "declared",
    ],
    "human": [
        "c2pa",
        "xmp",
        "exif",
        "archive",
        "attestation",
        "detector",
        "verdict",
        "recovered",
        "declared",
    ],
}
HARD = {"c2pa", "attestation"}
MARKS = set(KINDS["ai"]) - {"detector", "verdict", "recovered"}


@st.composite
def evidence(draw, claim=None, hard=None):
    side = claim or draw(st.sampled_from(["ai", "human"]))
    kind = draw(st.sampled_from(sorted(HARD) if hard else KINDS[side]))
    cap = draw(st.sampled_from([0.5, 1.0, 2.0, 3.0, 6.0]))
    size = draw(st.floats(0, 20))
    low = draw(st.integers(0, 5))
    return Evidence(
        kind=kind,
        claim=side,
        llr=size if side == "ai" else -size,
        cap=cap,
        hard=(kind in HARD and draw(st.booleans())) if hard is None else hard,
        origin=draw(st.sampled_from(["", *(AI if side == "ai" else HUMAN)])),
        generation=draw(st.sampled_from([None, (low, low), (low, None)])) if side == "ai" else None,
        model=draw(st.sampled_from(["", "M1", "M2"])),
        detail=draw(st.sampled_from(["", "a", "b"])),
    )


SETS = st.lists(evidence(), max_size=8)
PRIORS = st.sampled_from([0.2, 0.5, 0.9])
ANCESTRY = st.one_of(
    st.none(), st.tuples(st.integers(1, 4), st.none()), st.integers(1, 4).map(lambda g: (g, g))
)


@settings(max_examples=100, deadline=None)
@given(SETS, PRIORS, ANCESTRY, st.data())
def test_order_and_repeats_do_not_matter(items, prior, ancestry, data):
    once = fold(items, prior=prior, ancestry=ancestry)
    shuffled = data.draw(st.permutations([*items, *items[:3]]))
    assert fold(shuffled, prior=prior, ancestry=ancestry) == once


@settings(max_examples=100, deadline=None)
@given(SETS, evidence(claim="ai"), PRIORS)
def test_more_ai_evidence_never_raises_p_human_nor_makes_human(items, extra, prior):
    before, after = fold(items, prior=prior), fold([*items, extra], prior=prior)
    assert after.p_human <= before.p_human + 1e-12
    assert after.human <= before.human
    if before.ai:
        assert after.ai
        assert after.lo >= before.lo


@settings(max_examples=100, deadline=None)
@given(SETS, evidence(claim="human"), PRIORS)
def test_more_human_evidence_never_lowers_p_human_nor_makes_ai(items, extra, prior):
    before, after = fold(items, prior=prior), fold([*items, extra], prior=prior)
    assert after.ai <= before.ai
    # A trusted claim that contradicts a mark becomes a dispute, which is held at one half at most.
    if after.status == before.status and before.origin == after.origin:
        assert after.p_human >= before.p_human - 1e-12


@settings(max_examples=100, deadline=None)
@given(st.lists(evidence(), max_size=6), st.data())
def test_stripping_never_helps_beyond_unknown(items, data):
    no_fact = [e for e in items if not (e.claim == "human" and (e.hard or e.kind == "archive"))]
    kept = [e for e in no_fact if data.draw(st.booleans())]
    # Without a trusted human claim no choice of what to strip makes an image human.
    assert not fold(kept).human
    nothing = fold([])
    assert (nothing.status, nothing.human, nothing.ai, nothing.p_human) == ("unknown", False, False, 0.5)
    # Stripping machine marks alone never lifts p(human) above what the human side alone would give.
    human_side = [e for e in no_fact if e.claim == "human"]
    assert fold(kept).p_human <= fold(human_side).p_human + 1e-12


@settings(max_examples=100, deadline=None)
@given(SETS, PRIORS)
def test_caps_hold_however_much_of_one_kind_there_is(items, prior):
    found = fold(items, prior=prior)
    for side in ("ai", "human"):
        bound = sum(
            max(e.cap for e in items if e.kind == k and e.claim == side)
            for k in {e.kind for e in items if e.claim == side}
        )
        logit = math.log(found.p_human / (1 - found.p_human)) - math.log(prior / (1 - prior))
        # Settled and disputed origins are held on their side of one half.
        if found.status == "unknown":
            assert (logit if side == "human" else -logit) <= bound + 1e-9
    assert 0.0 < found.p_human < 1.0


@settings(max_examples=100, deadline=None)
@given(SETS, ANCESTRY)
def test_what_an_origin_may_say(items, ancestry):
    found = fold(items, ancestry=ancestry)
    facts = [e for e in items if e.claim == "human" and (e.hard or e.kind == "archive")]
    marks = [e for e in items if e.claim == "ai" and e.kind in MARKS]
    assert not (found.human and found.ai)
    assert found.human == (bool(facts) and not marks)
    assert (found.status == "disputed") == (bool(facts) and bool(marks))
    if marks and not facts:
        assert found.ai
    if found.human:
        assert (found.lo, found.hi) == (0, 0)
        assert found.origin.is_human
    if found.ai:
        assert found.lo >= max([1, *(e.generation[0] for e in items if e.claim == "ai" and e.generation)])
        assert found.hi is None or found.hi >= found.lo
        trusted = [
            e for e in items if e.claim == "ai" and e.hard and e.generation and e.generation[1] is not None
        ]
        if not trusted and (ancestry is None or ancestry[1] is None):
            assert found.hi is None
        if ancestry:
            assert found.lo >= ancestry[0]
    assert len(found.reasons) == len(set(found.reasons))
    assert bool(found.reasons) == bool(items)
