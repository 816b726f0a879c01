"""The published C2PA fixtures and real generator files, each with its exact state."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from genepool.evidence import opts_out, read_evidence
from support import marks as m

pytestmark = pytest.mark.shared

# (file, state with the test authorities as anchors, state without, claim and class)
C2PA = [
    ("C.jpg", "valid", "untrusted", ("algorithmic", "algorithmic")),
    ("CA.jpg", "valid", "untrusted", ("none", "")),
    ("CACA.jpg", "valid", "untrusted", ("none", "")),
    ("CIE-sig-CA.jpg", "valid", "untrusted", ("algorithmic", "algorithmic")),
    ("C_with_CAWG_data.jpg", "valid", "untrusted", ("human", "captured")),
    ("E-sig-CA.jpg", "invalid", "invalid", ("none", "")),
    ("XCA.jpg", "invalid", "invalid", ("none", "")),
    # "E-clm": its claim was changed on purpose; an ingredient's hash no longer matches.
    ("adobe-20220124-E-clm-CAICAI.jpg", "invalid", "invalid", ("none", "")),
]


@pytest.fixture(scope="module")
def folder(shared):
    return shared / "c2pa"


@pytest.fixture(scope="module")
def anchors(folder):
    return (folder / "test_cert_root_bundle.pem",)


@pytest.mark.parametrize(("name", "trusted", "unknown", "said"), C2PA)
def test_states(name, trusted, unknown, said, folder, anchors):
    data = (folder / name).read_bytes()
    for files, state in ((anchors, trusted), ((), unknown)):
        found = read_evidence(data, trust_anchors=files)
        assert found.c2pa == state
        (item,) = (item for item in found.evidence if item.kind == "c2pa")
        assert (item.claim, item.origin) == said


def test_every_fixture_has_its_line(folder):
    listed = {name for name, *_ in C2PA} | {"cloud.jpg", "IMG_0003.jpg"}
    assert listed == {path.name for path in folder.glob("*.jpg")}


def test_reasons_are_named(folder):
    for name, reason in (
        ("E-sig-CA.jpg", "claimSignature.mismatch"),
        ("XCA.jpg", "assertion.dataHash.mismatch"),
        ("adobe-20220124-E-clm-CAICAI.jpg", "assertion.hashedURI.mismatch"),
    ):
        (sentence,) = read_evidence((folder / name).read_bytes()).notes
        assert reason in sentence


def test_an_untrusted_identity_assertion_does_not_lower_the_state(folder, anchors):
    """Its CAWG identity is signed by yet another authority; the claim's own signer is trusted."""
    found = read_evidence((folder / "C_with_CAWG_data.jpg").read_bytes(), trust_anchors=anchors)
    assert found.c2pa == "valid"
    assert {right.signal: right.value for right in found.rights} == {
        "cawg.ai_inference": "notAllowed",
        "cawg.ai_generative_training": "notAllowed",
    }
    assert opts_out(found.rights)


def test_the_camera_file_has_no_manifest(folder):
    found = read_evidence((folder / "IMG_0003.jpg").read_bytes())
    assert found.c2pa == "absent"
    assert m.claims(found) == [("exif", "human")]
    assert found.fields["model"] == "Canon EOS REBEL T3"


def test_the_remote_manifest_is_absent(folder, anchors):
    found = read_evidence((folder / "cloud.jpg").read_bytes(), trust_anchors=anchors)
    assert found.c2pa == "absent"
    assert m.claims(found) == []
    assert any(sentence.startswith("remote manifest not fetched") for sentence in found.notes)


PROGRAM = """
import pathlib, sys
from genepool.evidence import _c2pa, read_evidence
data = pathlib.Path(sys.argv[1]).read_bytes()
print(read_evidence(data).c2pa, _c2pa.read_store(data, "image/jpeg", "APP11", "").state)
"""


def test_the_remote_manifest_makes_no_network_call(folder, tmp_path):
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    log = tmp_path / "connects"
    done = subprocess.run(
        [
            *("strace", "-f", "-qq", "-e", "trace=connect,sendto", "-o", str(log)),
            *(sys.executable, "-c", PROGRAM, str(folder / "cloud.jpg")),
        ],
        capture_output=True,
        text=True,
    )
    if "ptrace" in done.stderr.lower():
        pytest.skip("this machine does not let strace trace")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["absent", "absent"]
    calls = [line for line in log.read_text().splitlines() if "connect(" in line or "sendto(" in line]
    assert calls == []


@pytest.mark.parametrize("style", ["Airbrush", "Michelangelo"])
def test_comfyui_files(style, shared):
    found = read_evidence((shared / "metadata" / f"comfyui_gallery-assets_{style}.png").read_bytes())
    (item,) = found.evidence
    assert (item.kind, item.claim, item.weight) == ("generator", "ai", 3.0)
    assert item.model == "SD3\\sd3.5_large.safetensors"
    assert "steps 40" in item.detail


def test_an_openai_file_whose_certificate_has_expired(shared):
    """Signature and hashes are intact, the certificate is no longer valid: invalid, with a soft AI claim."""
    found = read_evidence(
        (shared / "metadata" / "gpt-4o_c2pa_gpt-image-1_examples_vinyl-output.png").read_bytes()
    )
    assert found.c2pa == "invalid"
    assert "signingCredential.expired" in found.notes[0]
    (item,) = (item for item in found.evidence if item.claim != "none")
    assert (item.claim, item.origin, item.model, item.weight, item.hard) == (
        "ai",
        "synthetic",
        "GPT-4o",
        3.0,
        False,
    )


def test_human_files_are_never_called_ai(shared):
    """Every file of the labelled set whose label is human: marks may be absent, never for AI."""
    import csv

    wrong, seen = [], 0
    with (shared / "images.csv").open(newline="") as file:
        for line in csv.DictReader(file):
            path = shared / "images" / line["path"]
            if line["label"] == "human" and path.is_file():
                seen += 1
                if any(item.claim == "ai" for item in read_evidence(path.read_bytes()).evidence):
                    wrong.append(line["path"])
    assert seen > 2000
    assert wrong == []
