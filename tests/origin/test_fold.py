"""One image's evidence, case by case."""

import math

import pytest

from genepool.errors import UsageError
from genepool.origin import fold
from genepool.records import Evidence, OriginClass


def ev(kind, claim, llr, cap=None, **fields):
    return Evidence(kind=kind, claim=claim, llr=llr, cap=abs(llr) if cap is None else cap, **fields)


ATTESTED = ev("attestation", "human", -6.0, hard=True, origin="human_made", detail="attested by ann")
CAPTURE = ev("c2pa", "human", -5.0, hard=True, origin="captured", detail="trusted camera")
SIGNED_AI = ev("c2pa", "ai", 6.0, hard=True, origin="synthetic", model="M9", detail="signed by a generator")
PARAMETERS = ev("generator", "ai", 3.0, origin="synthetic", model="sd", detail="parameters")
XMP_AI = ev("xmp", "ai", 3.0, origin="synthetic", detail="trainedAlgorithmicMedia")
COMPOSITE = ev("xmp", "ai", 3.0, origin="mixed", detail="compositeWithTrainedAlgorithmicMedia")
EXIF = ev("exif", "human", -0.5, origin="captured", detail="camera tags")
DECLARED = ev("declared", "human", -0.5, origin="human_made", detail="the sidecar declares human_made")
ARCHIVE = ev("archive", "human", -4.0, detail="archive dates it 1889")
LOOKS_HUMAN = ev("verdict", "human", -2.0, detail="4 of 4 say human")
LOOKS_AI = ev("verdict", "ai", 2.0, detail="4 of 4 say AI")
DETECTED = ev("detector", "ai", 2.0, detail="decides ai")
RECOVERED = ev("recovered", "ai", 3.0, origin="synthetic", generation=(2, 2), detail="looks like #4")
FRACTAL = ev("xmp", "algorithmic", 0.0, origin="algorithmic", detail="algorithmicMedia")


@pytest.mark.parametrize(
    ("items", "origin", "tier", "status", "human", "ai"),
    [
        ([], "unknown", "unknown", "unknown", False, False),
        ([ATTESTED], "human_made", "attested", "settled", True, False),
        ([CAPTURE], "captured", "proven", "settled", True, False),
        ([CAPTURE, ATTESTED], "captured", "proven", "settled", True, False),
        ([ARCHIVE], "human_made", "declared", "settled", True, False),
        ([ARCHIVE, CAPTURE], "captured", "proven", "settled", True, False),
        ([SIGNED_AI], "synthetic", "proven", "settled", False, True),
        ([PARAMETERS], "synthetic", "declared", "settled", False, True),
        ([COMPOSITE], "mixed", "declared", "settled", False, True),
        ([XMP_AI, EXIF, DECLARED, LOOKS_HUMAN], "synthetic", "declared", "settled", False, True),
        ([ATTESTED, SIGNED_AI], "unknown", "proven", "disputed", False, False),
        ([CAPTURE, XMP_AI], "unknown", "proven", "disputed", False, False),
        ([ARCHIVE, PARAMETERS], "unknown", "declared", "disputed", False, False),
        ([ATTESTED, DETECTED, LOOKS_AI, RECOVERED], "human_made", "attested", "settled", True, False),
        ([RECOVERED], "synthetic", "recovered", "settled", False, True),
        ([EXIF, DECLARED], "unknown", "declared", "unknown", False, False),
        ([LOOKS_HUMAN], "unknown", "inferred", "unknown", False, False),
        ([LOOKS_AI, DETECTED], "unknown", "inferred", "unknown", False, False),
        ([FRACTAL], "algorithmic", "declared", "settled", False, False),
        ([FRACTAL, EXIF], "algorithmic", "declared", "settled", False, False),
        ([FRACTAL, ATTESTED], "human_made", "attested", "settled", True, False),
        ([FRACTAL, XMP_AI], "synthetic", "declared", "settled", False, True),
    ],
)
def test_rules(items, origin, tier, status, human, ai):
    found = fold(items)
    assert found.origin is OriginClass(origin)
    assert (found.tier, found.status, found.human, found.ai) == (tier, status, human, ai)


def test_opinions_move_the_posterior_within_their_caps():
    assert fold([LOOKS_HUMAN]).p_human == pytest.approx(1 / (1 + 2.718281828**-2.0), abs=1e-6)
    assert fold([LOOKS_AI, DETECTED]).p_human == pytest.approx(1 / (1 + 2.718281828**4.0), abs=1e-6)
    shout = ev("detector", "ai", 500.0, cap=2.0)
    assert fold([shout]).p_human == fold([DETECTED]).p_human
    assert fold([], prior=0.9).p_human == pytest.approx(0.9)


def test_a_claim_cannot_speak_for_the_other_side():
    twisted = ev("xmp", "ai", -6.0, cap=6.0)
    assert fold([twisted]).p_human == 0.5
    assert fold([twisted]).ai
    assert fold([ev("detector", "ai", float("nan"), cap=2.0)]).p_human == 0.5


def test_settled_and_disputed_stay_on_their_side_of_one_half():
    assert fold([PARAMETERS, EXIF, DECLARED, LOOKS_HUMAN, ev("c2pa", "human", -2.0)]).p_human <= 0.5
    assert fold([ARCHIVE, LOOKS_AI, DETECTED, RECOVERED]).p_human >= 0.5
    assert fold([ATTESTED, XMP_AI]).p_human <= 0.5


def claim(generation, hard=False, kind="declared"):
    return ev(kind, "ai", 3.0, hard=hard, origin="synthetic", generation=generation)


@pytest.mark.parametrize(
    ("items", "ancestry", "expected"),
    [
        ([XMP_AI], None, (1, None)),
        ([XMP_AI], (1, 1), (1, 1)),
        ([XMP_AI], (3, None), (3, None)),
        # Anybody is believed upwards, nobody downwards.
        ([claim((3, 3))], None, (3, None)),
        ([claim((1, 1))], None, (1, None)),
        ([claim((3, 3))], (1, 1), (3, 3)),
        # A trusted claim has an upper end.
        ([claim((1, 1), hard=True, kind="attestation")], None, (1, 1)),
        ([claim((1, 2), hard=True, kind="attestation"), claim((2, 2), kind="xmp")], None, (2, 2)),
        ([claim((1, 1), hard=True, kind="attestation"), claim((4, 4), kind="xmp")], None, (4, 4)),
        ([claim((0, 0), hard=True, kind="attestation")], None, (1, 1)),
        ([ATTESTED], (2, 2), (0, 0)),
        ([EXIF], None, (0, None)),
        ([ATTESTED, XMP_AI], (2, 2), (0, None)),
        ([FRACTAL], None, (0, 0)),
    ],
)
def test_generations(items, ancestry, expected):
    found = fold(items, ancestry=ancestry)
    assert (found.lo, found.hi) == expected


def test_a_claim_below_the_pedigree_is_said():
    found = fold([claim((1, 1), hard=True, kind="attestation")], ancestry=(3, 3))
    assert (found.lo, found.hi) == (3, 3)
    assert found.reasons[0] == "generation: attestation claims generation 1, the pedigree gives at least 3"
    assert not fold([claim((3, 3))], ancestry=(3, 3)).reasons[0].startswith("generation")


def test_reasons_come_strongest_first_and_name_the_dispute():
    found = fold([EXIF, XMP_AI, ATTESTED])
    assert found.reasons[0].startswith("disputed: ")
    assert [r.split(":")[0] for r in found.reasons[1:]] == ["attestation", "xmp", "exif"]
    assert "(-6.0)" in found.reasons[1]


def test_the_model_is_taken_from_the_best_witness():
    assert fold([PARAMETERS, SIGNED_AI]).model == "M9"
    assert fold([PARAMETERS]).model == "sd"
    assert fold([ATTESTED]).model == ""


@pytest.mark.parametrize("prior", [0.0, 1.0, -0.2, float("nan")])
def test_an_impossible_prior_is_refused(prior):
    with pytest.raises(UsageError, match="prior"):
        fold([], prior=prior)


def test_unsigned_marks_of_one_file_share_one_cap():
    # A generator writes its parameters and the XMP source type in one go: one witness, odds 20 : 1, not 400.
    alone = fold([PARAMETERS]).p_human
    assert fold([PARAMETERS, XMP_AI]).p_human == alone
    assert fold([XMP_AI]).p_human == alone
    assert alone == pytest.approx(1 / (1 + math.exp(3.0)))
    # Even where one of them carries a cap of its own that is higher.
    assert fold([PARAMETERS, ev("xmp", "ai", 5.0, cap=5.0, origin="synthetic")]).p_human == alone
    # Independent witnesses still add up.
    assert fold([PARAMETERS, XMP_AI, DETECTED]).p_human < alone
    assert fold([PARAMETERS, XMP_AI, ev("declared", "ai", 3.0, origin="synthetic")]).p_human < alone
