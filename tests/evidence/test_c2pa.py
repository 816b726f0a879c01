"""C2PA: four states, digital source types from actions and ingredients, generation and rights."""

from __future__ import annotations

import time

import c2pa
import pytest

from c2pa_fixtures import CAPTURE, IPTC, TRAINED, Authority, created, opened, sign
from genepool.errors import ConfigError
from genepool.evidence import opts_out, read_evidence
from support import marks as m

MIME = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "TIFF": "image/tiff"}
MIME |= {"GIF": "image/gif", "AVIF": "image/avif"}
PLAIN = m.encode("JPEG")


@pytest.fixture(scope="module")
def authority():
    return Authority.make("Trusted Root")


@pytest.fixture(scope="module")
def credential(authority):
    return authority.credential("Trusted Signer")


@pytest.fixture(scope="module")
def stranger():
    return Authority.make("Unknown Root").credential("Unknown Signer")


@pytest.fixture(scope="module")
def anchors(authority, tmp_path_factory):
    file = tmp_path_factory.mktemp("anchors") / "root.pem"
    file.write_text(authority.root)
    return (file,)


def jpeg(credential, *actions, **more):
    return sign(PLAIN, "image/jpeg", credential, actions, **more)


def only(found):
    (item,) = (item for item in found.evidence if item.kind == "c2pa")
    return item


@pytest.mark.parametrize("kind", MIME)
def test_the_four_states_in_every_container(kind, credential, anchors):
    plain = m.encode(kind)
    signed = sign(plain, MIME[kind], credential, [created(TRAINED, {"name": "Painter", "version": "2"})])

    trusted = read_evidence(signed, trust_anchors=anchors)
    assert (trusted.container, trusted.c2pa) == (kind, "valid")
    item = only(trusted)
    assert (item.claim, item.origin, item.weight, item.hard) == ("ai", "synthetic", 6.0, True)
    assert item.model == "Painter 2"

    unknown = read_evidence(signed)
    assert unknown.c2pa == "untrusted"
    assert (only(unknown).claim, only(unknown).weight, only(unknown).hard) == ("ai", 3.0, False)

    assert read_evidence(plain, trust_anchors=anchors).c2pa == "absent"


def test_a_changed_pixel_byte_makes_it_invalid_and_claims_nothing(credential, anchors):
    signed = bytearray(jpeg(credential, created(TRAINED)))
    signed[-20] ^= 0x40
    found = read_evidence(bytes(signed), trust_anchors=anchors)
    assert found.c2pa == "invalid"
    assert m.claims(found) == []
    assert "assertion.dataHash.mismatch" in only(found).detail


def test_a_changed_claim_makes_it_invalid_and_claims_nothing(credential, anchors):
    signed = jpeg(credential, created(CAPTURE, "Camera"))
    at = signed.index(b"Test Generator")
    forged = signed[:at] + b"Fest" + signed[at + 4 :]
    found = read_evidence(forged, trust_anchors=anchors)
    assert found.c2pa == "invalid"
    assert m.claims(found) == []


def test_a_manifest_copied_to_another_image_is_invalid(credential, anchors):
    signed = jpeg(credential, created(CAPTURE))
    manifest = signed[2 : len(signed) - len(PLAIN) + 2]
    other = m.with_segments(m.encode("JPEG", quality=30), manifest)
    found = read_evidence(other, trust_anchors=anchors)
    assert found.c2pa == "invalid"
    assert m.claims(found) == []


def test_another_authority_is_not_trusted(stranger, anchors):
    found = read_evidence(jpeg(stranger, created(CAPTURE)), trust_anchors=anchors)
    assert found.c2pa == "untrusted"
    assert (only(found).claim, only(found).weight, only(found).hard) == ("human", -0.5, False)


def test_an_expired_credential_is_invalid_and_only_its_ai_mark_is_kept(authority, anchors):
    brief = authority.credential("Brief Signer", seconds=5.0)
    painted, shot = jpeg(brief, created(TRAINED)), jpeg(brief, created(CAPTURE))
    time.sleep(6.1)
    found = read_evidence(painted, trust_anchors=anchors)
    assert found.c2pa == "invalid"
    assert "signingCredential.expired" in found.notes[0]
    (item,) = (item for item in found.evidence if item.claim != "none")
    assert (item.claim, item.weight, item.hard) == ("ai", 3.0, False)

    camera = read_evidence(shot, trust_anchors=anchors)
    assert camera.c2pa == "invalid"
    assert m.claims(camera) == []


@pytest.mark.parametrize(
    ("term", "claim", "origin", "weight", "hard"),
    [
        ("digitalCapture", "human", "captured", -5.0, True),
        ("computationalCapture", "human", "captured", -5.0, True),
        ("print", "human", "captured", -2.0, False),
        ("digitalCreation", "human", "human_made", -2.0, False),
        ("compositeWithTrainedAlgorithmicMedia", "ai", "mixed", 6.0, True),
        ("algorithmicMedia", "algorithmic", "algorithmic", 0.0, False),
        ("screenCapture", "none", "unknown", 0.0, False),
    ],
)
def test_terms_of_a_trusted_signer(term, claim, origin, weight, hard, credential, anchors):
    found = read_evidence(jpeg(credential, created(IPTC + term)), trust_anchors=anchors)
    assert found.c2pa == "valid"
    item = only(found)
    assert (item.claim, item.origin, item.weight, item.hard) == (claim, origin, weight, hard)


def test_a_manifest_without_source_type_claims_nothing(credential, anchors):
    found = read_evidence(jpeg(credential, opened(), ingredients=[(PARENT, PLAIN)]), trust_anchors=anchors)
    assert found.c2pa == "valid"
    assert (only(found).claim, only(found).origin) == ("none", "")


def test_an_unknown_source_type_claims_nothing(credential, anchors):
    found = read_evidence(jpeg(credential, created("http://example.com/human")), trust_anchors=anchors)
    assert only(found).claim == "none"


PARENT = {"title": "parent", "label": "parent", "relationship": "parentOf"}
PART = {"title": "part", "label": "part", "relationship": "componentOf"}


def test_an_edit_inherits_its_parent(credential, anchors):
    parent = jpeg(credential, created(TRAINED, "Painter"), assertions=[generation(1)])
    edited = jpeg(credential, opened(), ingredients=[(PARENT, parent)])
    item = only(read_evidence(edited, trust_anchors=anchors))
    assert (item.claim, item.origin, item.weight, item.hard) == ("ai", "synthetic", 6.0, True)
    assert item.model == "Painter"
    assert item.generation == (1, 1)
    assert "inherited" in item.detail


def test_a_trusted_editor_does_not_vouch_for_a_strangers_camera(credential, stranger, anchors):
    parent = jpeg(stranger, created(CAPTURE))
    edited = jpeg(credential, opened(), ingredients=[(PARENT, parent)])
    found = read_evidence(edited, trust_anchors=anchors)
    assert found.c2pa == "valid"
    assert (only(found).claim, only(found).weight, only(found).hard) == ("human", -0.5, False)


def test_a_broken_parent_is_not_inherited(credential, anchors):
    parent = bytearray(jpeg(credential, created(CAPTURE)))
    parent[-20] ^= 0x40
    edited = jpeg(credential, opened(), ingredients=[(PARENT, bytes(parent))])
    assert m.claims(read_evidence(edited, trust_anchors=anchors)) == []


def test_an_ai_part_makes_the_whole_mixed(credential, anchors):
    part = jpeg(credential, created(TRAINED))
    whole = jpeg(credential, created(CAPTURE), ingredients=[(PART, part)])
    item = only(read_evidence(whole, trust_anchors=anchors))
    assert (item.claim, item.origin, item.hard) == ("ai", "mixed", True)


def test_an_ai_edit_of_a_photograph_is_mixed(credential, anchors):
    photo = jpeg(credential, created(CAPTURE))
    edits = [opened(), created(TRAINED, "Filler", action="c2pa.edited")]
    item = only(read_evidence(jpeg(credential, *edits, ingredients=[(PARENT, photo)]), trust_anchors=anchors))
    assert (item.claim, item.origin, item.model) == ("ai", "mixed", "Filler")


def test_human_edits_of_an_ai_image_leave_it_synthetic(credential, anchors):
    actions = [created(TRAINED), created(IPTC + "humanEdits", action="c2pa.edited")]
    assert only(read_evidence(jpeg(credential, *actions), trust_anchors=anchors)).origin == "synthetic"


def test_enhancement_inherits_a_known_parent(credential, anchors):
    photo = jpeg(credential, created(CAPTURE))
    actions = [created(IPTC + "algorithmicallyEnhanced"), created(None, action="c2pa.edited")]
    found = read_evidence(jpeg(credential, *actions, ingredients=[(PARENT, photo)]), trust_anchors=anchors)
    assert only(found).origin == "captured"
    alone = jpeg(credential, created(IPTC + "algorithmicallyEnhanced"))
    assert only(read_evidence(alone, trust_anchors=anchors)).origin == "algorithmic"


def generation(value):
    data = value if isinstance(value, dict) else {"generation": value}
    return {"label": "org.genepool.generation", "data": data}


@pytest.mark.parametrize(
    ("stated", "wanted"),
    [
        (3, (3, 3)),
        ({"lo": 1, "hi": 2}, (1, 2)),
        ({"lo": 1, "hi": None}, (1, None)),
        ({"lo": 1}, (1, None)),
        ({"lo": 5, "hi": 2}, None),
        ({"generation": -1}, None),
        ({"generation": "2"}, None),
        ({}, None),
    ],
)
def test_the_stated_generation(stated, wanted, credential, anchors):
    signed = jpeg(credential, created(TRAINED), assertions=[generation(stated)])
    assert only(read_evidence(signed, trust_anchors=anchors)).generation == wanted


@pytest.mark.parametrize("label", ["cawg.training-mining", "c2pa.training-mining"])
def test_training_mining_is_read(label, credential):
    prefix = label.partition(".")[0]
    entries = {
        f"{prefix}.ai_generative_training": {"use": "notAllowed"},
        f"{prefix}.ai_inference": {"use": "allowed"},
        f"{prefix}.data_mining": {"use": "constrained", "constraint_info": "ask us"},
        f"{prefix}.other": {"use": "perhaps"},
        f"{prefix}.wrong": 7,
    }
    found = read_evidence(
        jpeg(credential, created(CAPTURE), assertions=[{"label": label, "data": {"entries": entries}}])
    )
    values = {right.signal: right.value for right in found.rights}
    assert values == {
        f"{prefix}.ai_generative_training": "notAllowed",
        f"{prefix}.ai_inference": "allowed",
        f"{prefix}.data_mining": "constrained",
    }
    assert any("ask us" in right.reference for right in found.rights)
    assert opts_out(found.rights)


def test_a_ban_on_inference_is_no_ban_on_training(credential):
    data = {"entries": {"cawg.ai_inference": {"use": "notAllowed"}}}
    found = read_evidence(
        jpeg(credential, created(CAPTURE), assertions=[{"label": "cawg.training-mining", "data": data}])
    )
    assert [right.value for right in found.rights] == ["notAllowed"]
    assert not opts_out(found.rights)


def test_an_anchor_file_must_hold_certificates(tmp_path):
    (tmp_path / "empty.pem").write_text("nothing here")
    for name in ("empty.pem", "missing.pem"):
        with pytest.raises(ConfigError, match="trust_anchors"):
            read_evidence(PLAIN, trust_anchors=[tmp_path / name])


def test_the_library_agrees_about_the_state(credential, anchors):
    """The same file through the library alone, with its defaults: an independent way to the same answer."""
    import io

    signed = jpeg(credential, created(TRAINED))
    with c2pa.Reader("image/jpeg", io.BytesIO(signed)) as reader:
        assert reader.get_validation_state() == "Valid"
    assert read_evidence(signed).c2pa == "untrusted"
