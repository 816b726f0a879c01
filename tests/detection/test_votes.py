"""From logits to votes: which calibration holds, what failures cost, what reaches an image's origin."""

import dataclasses
import io
import struct
import zlib

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from genepool import origin
from genepool.config import config_directory
from genepool.detection import (
    CAP,
    Calibration,
    DetectionProbe,
    Judge,
    OnnxDetector,
    Shelf,
    keep_calibration,
    load_calibration,
)
from genepool.errors import ConfigError, WorkspaceError
from genepool.evidence import read_evidence
from genepool.origin._witnesses import seen
from genepool.records import Evidence, Item, Sample
from genepool.scan import View
from genepool.store import Workspace
from support.onnx_models import model, noise

DIGEST = "ab" * 32
MODEL = f"onnx:m.onnx@{DIGEST}"
GOOD = Calibration(DIGEST, 1.0, 0.0, 1.0, -1.0, 1.5, -1.2, 0.94, 900, {"a": 450, "h": 450})


def table(rows):
    names, logits, reasons = zip(*rows, strict=True)
    return pa.table(
        {
            "detector": list(names),
            "logit": pa.array(logits, pa.float32()),
            "abstained": pa.array(reasons, pa.string()),
        }
    )


# ------------------------------------------------------------------------- which calibration holds


def test_workspace_before_user_before_built_in(tmp_path):
    space = Workspace(tmp_path / "w").create()
    assert load_calibration(space, 0.94, digest=DIGEST) is None
    mine = dataclasses.replace(GOOD, n=1000)
    assert keep_calibration(mine) == config_directory() / "calibrations" / f"{DIGEST}.json"
    assert load_calibration(space, 0.94, digest=DIGEST) == mine
    keep_calibration(GOOD, space)
    assert load_calibration(space, 0.94, digest=DIGEST) == GOOD
    assert load_calibration(None, 0.94, digest=DIGEST) == mine
    # Another model's does not hold, and does not push this one out.
    other = dataclasses.replace(GOOD, detector="cd" * 32)
    keep_calibration(other, space)
    assert load_calibration(space, 0.94, digest="cd" * 32) == other
    assert Shelf(space, 0.94).of(MODEL) == GOOD
    # A workspace's promise that is too weak leaves the word to the user's.
    strong = dataclasses.replace(GOOD, accuracy=0.97)
    keep_calibration(strong)
    assert load_calibration(space, 0.96, digest=DIGEST) == strong
    assert load_calibration(space, 0.98, digest=DIGEST) is None


def test_records_of_the_first_format_are_read(tmp_path):
    space = Workspace(tmp_path / "w").create()
    old = {k: v for k, v in GOOD.to_json().items() if k != "measured"}
    space.write_json("calibration.json", {**old, "schema": "genepool.calibration/1"})
    assert load_calibration(space, 0.94, digest=DIGEST) == GOOD


def test_damaged_files_are_named(tmp_path):
    place = config_directory() / "calibrations" / f"{DIGEST}.json"
    place.parent.mkdir(parents=True)
    place.write_text("{")
    with pytest.raises(WorkspaceError, match="expected JSON"):
        load_calibration(None, 0.94, digest=DIGEST)
    place.write_text('{"schema": "other"}')
    with pytest.raises(ConfigError, match="calibration"):
        load_calibration(None, 0.94, digest=DIGEST)
    assert load_calibration(None, 0.94, digest="../../etc/passwd") is None


# ------------------------------------------------------------------------- failures


def test_one_failure_costs_one_vote_and_many_cost_all(tmp_path):
    space = Workspace(tmp_path / "w").create()
    keep_calibration(GOOD, space)
    fine = [(MODEL, 3.0, None)] * 199
    once = Judge(table([*fine, (MODEL, None, "failed: detector m: ValueError: x")]), space, 0.94)
    assert once.opinion(3.0, MODEL, "", "a.png", "00").verdict == "ai"
    assert (once.failed, once.removed(MODEL)) == ({MODEL: 1}, "")
    assert once.failures[MODEL] == "detector m: ValueError: x"
    often = Judge(table([*fine, *[(MODEL, None, "failed: detector m: ValueError: x")] * 3]), space, 0.94)
    found = often.opinion(3.0, MODEL, "", "a.png", "00")
    assert (found.verdict, found.llr, found.p_ai) == ("abstain", 0.0, None)
    assert found.reason == "its vote is removed: failed on 3 of 202 images; detector m: ValueError: x"
    assert often.calibration(MODEL) is None


def test_an_unstable_verdict_is_shown_and_does_not_vote(tmp_path):
    space = Workspace(tmp_path / "w").create()
    keep_calibration(GOOD, space)
    judge = Judge(table([(MODEL, 3.0, "turns when re-encoded")]), space, 0.94)
    found = judge.opinion(3.0, MODEL, "turns when re-encoded", "a.png", "00")
    assert (found.verdict, found.llr, found.reason) == ("abstain", 0.0, "turns when re-encoded")
    assert found.p_ai == pytest.approx(1 / (1 + np.exp(-3)))


# ------------------------------------------------------------------------- what reaches the origin


def test_the_vote_moves_the_odds_within_its_cap_and_never_settles(tmp_path):
    space = Workspace(tmp_path / "w").create()
    keep_calibration(dataclasses.replace(GOOD, llr_ai=9.0), space)
    judge = Judge(table([(MODEL, 3.0, None)]), space, 0.94)
    vote = seen(judge.opinion(3.0, MODEL, "", "a.png", "00"))
    assert vote.llr == CAP
    settled = origin.fold([vote])
    assert not settled.ai
    assert not settled.human
    assert settled.p_human == pytest.approx(1 / (1 + np.exp(CAP)))
    assert seen(judge.opinion(0.0, MODEL, "", "a.png", "00")) is None


def test_stacked_experts_count_once():
    votes = [Evidence(kind="detector", claim="ai", llr=1.5, cap=CAP, model=name) for name in ("a", "b", "c")]
    assert origin.fold(votes).p_human == pytest.approx(origin.fold(votes[:1]).p_human)
    against = Evidence(kind="detector", claim="human", llr=-1.0, cap=CAP, model="d")
    assert origin.fold([*votes, against]).p_human == pytest.approx(1 / (1 + np.exp(0.5)))


# ------------------------------------------------------------------------- 200 injected lies


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def segment(marker, data):
    return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data


LIES = (
    b"parameters\0Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Model: sd_xl_base",
    b"jumb\0\0\0\x1ejumdc2pa\0\x11\0\x10\x80\0\0\xaa\0\x38\x9b\x71\x03c2pa\0trainedAlgorithmicMedia",
    b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta><DigitalSourceType>trainedAlgorithmicMedia</x:xmpmeta>",
    b"Software\0Midjourney",
    b"digitalCapture Canon EOS 5D human made",
)


def mutants(pixels, count):
    """Files of the same pixels with something else said about them."""
    rng = np.random.default_rng(0)
    files = {}
    for name, options in (("PNG", {}), ("JPEG", {"quality": 92}), ("WEBP", {"lossless": True})):
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, name, **options)
        files[name] = out.getvalue()
    for i in range(count):
        kind = ("PNG", "JPEG", "WEBP")[i % 3]
        data = files[kind]
        lie = LIES[int(rng.integers(len(LIES)))] + rng.bytes(int(rng.integers(0, 60)))
        where = int(rng.integers(3))
        if where == 0:
            yield kind, data + lie
        elif kind == "PNG":
            name = (b"tEXt", b"caBX", b"zzZz", b"iTXt")[int(rng.integers(4))]
            yield kind, data[:33] + chunk(name, lie) + data[33:]
        elif kind == "JPEG":
            marker = (0xE1, 0xEB, 0xFE, 0xED)[int(rng.integers(4))]
            yield kind, data[:2] + segment(marker, lie) + data[2:]
        else:
            part = b"XMP " + struct.pack("<I", len(lie)) + lie + b"\0" * (len(lie) % 2)
            whole = data + part
            yield kind, b"RIFF" + struct.pack("<I", len(whole) - 8) + whole[8:]


def test_200_metadata_injections_change_no_pixel_verdict(tmp_path):
    probe = DetectionProbe(OnnxDetector(model(tmp_path / "m.onnx", side=64, gain=20.0, bias=-10.0)))
    probe.prepare()
    pixels = noise(0.7, 128)

    def row(data):
        return probe.examine(View(Sample(Item("x", "", "x"), data), max_pixels=10**8))

    plain = {}
    for kind, options in (("PNG", {}), ("JPEG", {"quality": 92}), ("WEBP", {"lossless": True})):
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, kind, **options)
        plain[kind] = row(out.getvalue())
        assert plain[kind]["logit"] is not None
    spoke = 0
    for kind, data in mutants(pixels, 200):
        assert row(data) == plain[kind]
        spoke += bool(read_evidence(data).evidence)
    assert spoke >= 3  # some lies do reach the reader of marks, and nobody else
