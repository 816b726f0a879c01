"""Who draws again pays for it; whose scores count was fixed with the draw; qualifications go along."""

import hashlib
import itertools
import math

import numpy as np
import pytest

from genepool import review
from genepool.config import Config
from genepool.errors import ConfigError, MeasureError
from genepool.prevalence import (
    Auditor,
    Look,
    Population,
    ReviewedSet,
    Reviewer,
    Sample,
    alpha_share,
    certified_ratio,
    certified_slices,
    certify,
    detector_scores,
)
from genepool.stats import clopper_pearson
from genepool.store import SKETCH, ReviewRecord, Workspace, same_set
from support.onnx_models import model, noise
from support.reviews import Table, controls
from support.scans import fill


@pytest.fixture
def config():
    return Config().with_(engine__workers=1)


def test_the_shares_of_all_draws_sum_to_alpha():
    shares = [alpha_share(k) for k in range(1, 20_000)]
    assert shares[0] == 0.8
    assert all(a > b for a, b in itertools.pairwise(shares))
    assert sum(shares) < 1
    assert sum(shares) == pytest.approx(1, abs=1e-4)
    with pytest.raises(MeasureError):
        alpha_share(0)


def first_pass(runs, alpha, seed, n=400, h=0.70, looks=150):
    """Which of these audits of a set at the floor ever say PASS: each along an order of its own."""
    rng = np.random.default_rng(seed)
    truth = np.arange(n) < round(h * n)
    order = rng.permuted(np.broadcast_to(np.arange(n), (runs, n)), axis=1)[:, :looks]
    game = Auditor(np.full((runs, n), 0.5), Population(n), h, alpha, starts=[round(h * n)])
    found = np.zeros(runs, bool)
    for t in range(looks):
        says = truth[order[:, t]]
        game.see(np.full(runs, 0.5), says, ~says)
        found |= game.bounds()[0] >= h
    return found


def test_drawing_until_it_passes_is_paid_for():
    """Six draws of a set of exactly the floor: uncharged one passes too often, charged hardly ever."""
    runs, alpha, draws = 1500, 0.05, 6
    free = np.zeros(runs, bool)
    charged = np.zeros(runs, bool)
    for k in range(1, draws + 1):
        free |= first_pass(runs, alpha, k)
        charged |= first_pass(runs, alpha * alpha_share(k), 100 + k)
    # One-sided 99 % limits: the free one is proven to break alpha, the charged one is not.
    assert clopper_pearson(int(free.sum()), runs, 0.02)[0] > alpha
    assert clopper_pearson(int(charged.sum()), runs, 0.02)[0] <= alpha


def test_two_draws_are_of_one_set_if_they_share_a_tenth():
    def sketch(numbers):
        return b"".join(sorted(hashlib.sha256(str(i).encode()).digest() for i in numbers)[:SKETCH])

    whole = sketch(range(3000))
    assert same_set(whole, sketch(range(1, 3000)))
    assert same_set(whole, sketch(range(1500, 4500)))
    assert not same_set(whole, sketch(range(3000, 6000)))
    assert not same_set(whole, sketch(range(2950, 5950)))
    assert same_set(sketch(range(20)), sketch(range(15, 40)))
    assert not same_set(sketch(range(20)), sketch(range(20, 40)))
    assert not same_set(whole, b"")


def test_a_changed_set_is_drawn_again_and_may_spend_less(tmp_path, config):
    folder = fill(tmp_path / "set", 24)
    first = Table(folder, tmp_path / "work", config, controls(100))
    truth = {d.hex(): "human" for d in first.origins.column("sha256").to_pylist()}
    first.qualify("test:r")
    first.look("test:r", truth, at_most=6)
    found = certified_ratio(first.catalogue, first.origins, first.place)
    assert (found.attempt, found.spent) == (1, pytest.approx(0.04))
    assert found.ratio.alpha == 0.05
    assert any("draw 1 of the set" in text for text in found.ratio.assumptions)
    next(folder.glob("*.*")).unlink()
    again = Table(folder, tmp_path / "work", config, first.known)
    again.clock = first.clock
    again.look("test:r", truth, at_most=4)
    found = certified_ratio(again.catalogue, again.origins, again.place)
    assert (found.attempt, found.spent) == (2, pytest.approx(0.005))
    assert found.to_json()["draw"] == 2
    # Pictures that have nothing to do with these are a set of their own.
    other = Table(fill(tmp_path / "other", 9, size=80), tmp_path / "work", config, first.known)
    other.look("test:r", {d.hex(): "ai" for d in other.origins.column("sha256").to_pylist()}, at_most=1)
    with ReviewRecord(other.place) as record:
        assert [draw.attempt for draw in record.draws()] == [1, 2, 1]
        review.record_in_log(other.place, record, config)
        from genepool.provenance import Ledger
        from genepool.provenance._entries import decode

        entries = []
        Ledger.open(other.place.ledger).audit(lambda first, body, hashes: entries.extend(map(decode, body)))
    assert [e["attempt"] for e in entries if e["kind"] == "draw"] == [1, 2, 1]


# --------------------------------------------------------------------------------- detector's scores


def calibrated(space, digest, **changes):
    from genepool.detection import Calibration, keep_calibration

    values = {"temperature": 2.0, "bias": 0.5, "ai_above": 1.0, "human_below": -1.0, "llr_ai": 1.0,
              "llr_human": -1.0, "accuracy": 0.94, "n": 200, "groups": {"a": 200}}  # fmt: skip
    keep_calibration(Calibration(detector=digest, **values | changes), Workspace(space).create())


def pictures(folder, n, small=0):
    """Dark pictures are human, bright ones machine-made; the model's logit grows with brightness."""
    from PIL import Image

    folder.mkdir(parents=True)
    levels = np.linspace(0.15, 0.85, n)
    for i, level in enumerate(levels):
        side = 24 if i < small else 64
        Image.fromarray(noise(float(level), side, i)).save(folder / f"{i:03}.png")
    return folder


def table(tmp_path, config, name="set", n=40, small=0):
    path = model(tmp_path / "bright.onnx", side=32)
    folder = pictures(tmp_path / name, n, small)
    return Table(
        folder, tmp_path / "work", config.with_(detection__detector=f"onnx:{path}"), controls(100)
    ), path


def truth_of(found, n):
    uris = found.origins.column("uri").to_pylist()
    digests = [d.hex() for d in found.origins.column("sha256").to_pylist()]
    return {d: "human" if int(u[:3]) < 0.8 * n else "ai" for u, d in zip(uris, digests, strict=True)}


def test_a_calibrated_detector_of_the_catalogue_is_the_control_variate(tmp_path, config, one_order):
    digest = hashlib.sha256((model(tmp_path / "bright.onnx", side=32)).read_bytes()).hexdigest()
    calibrated(tmp_path / "work", digest)
    found, path = table(tmp_path, config, small=3)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == digest
    scores = detector_scores(found.catalogue, found.place)
    assert scores.detector.endswith(f"@{digest}")
    # Three pictures are smaller than the model's crop: it abstained, and nothing is known about them.
    assert scores.known == 37
    logits = found.catalogue.table(["logit"]).column("logit").to_pylist()
    for value, logit in zip(scores.values, logits, strict=True):
        want = math.nan if logit is None else 1 / (1 + math.exp(logit / 2.0 + 0.5))
        assert value == pytest.approx(want, nan_ok=True, rel=1e-9)
    truth = truth_of(found, 40)
    found.qualify("test:r")
    found.look("test:r", truth, at_most=25)
    with_it = certified_ratio(found.catalogue, found.origins, found.place)
    assert with_it.detector == scores.detector
    assert with_it.power > 0.2
    assert with_it.to_json()["detector"] == scores.detector
    # The same answers without it: still true, but nothing is saved.
    reviewed = ReviewedSet.of(found.catalogue, found.origins, found.place)
    plain = certify(reviewed.sample, reviewed.human, reviewed.ai)
    assert plain.power == 0
    assert plain.ratio.lower <= 0.8 <= plain.ratio.upper
    assert with_it.ratio.lower <= 0.8 <= with_it.ratio.upper


def test_scores_that_come_or_change_after_the_draw_are_not_used(tmp_path, config):
    found, path = table(tmp_path, config)
    assert "not calibrated" in detector_scores(found.catalogue, found.place).note
    truth = truth_of(found, 40)
    found.qualify("test:r")
    found.look("test:r", truth, at_most=5)
    silent = certified_ratio(found.catalogue, found.origins, found.place)
    assert "not calibrated" in silent.detector
    assert silent.power == 0
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    calibrated(tmp_path / "work", digest)
    late = certified_ratio(found.catalogue, found.origins, found.place)
    assert "came after the order was drawn" in late.detector
    assert (late.ratio.lower, late.ratio.upper) == (silent.ratio.lower, silent.ratio.upper)
    # A new order is drawn with them; another calibration later is not believed.
    next((tmp_path / "set").glob("*.png")).unlink()
    again = Table(
        tmp_path / "set", tmp_path / "work", config.with_(detection__detector=f"onnx:{path}"), found.known
    )
    again.clock = found.clock
    again.look("test:r", truth, at_most=3)
    assert certified_ratio(again.catalogue, again.origins, again.place).detector.endswith(digest)
    calibrated(tmp_path / "work", digest, bias=-0.5)
    changed = certified_ratio(again.catalogue, again.origins, again.place)
    assert "changed after the order was drawn" in changed.detector


def test_another_detectors_calibration_is_nobodys(tmp_path, config):
    found, _ = table(tmp_path, config, n=6)
    calibrated(tmp_path / "work", "ab" * 32)
    assert detector_scores(found.catalogue, found.place).known == 0
    (found.place.root / "calibration.json").write_text('{"schema": "other"}')
    with pytest.raises(ConfigError):
        detector_scores(found.catalogue, found.place)


# ------------------------------------------------------------------------------------ qualification


def test_a_qualification_goes_along_to_the_next_set(tmp_path, config):
    first = Table(fill(tmp_path / "one", 6), tmp_path / "w1", config, controls(100))
    first.qualify("test:r", (0.97, 0.95))
    with ReviewRecord(first.place) as record:
        told = ReviewedSet.of(first.catalogue, first.origins, first.place).sample.reviewers["test:r"]
        review.record_in_log(first.place, record, config)
    second = Table(fill(tmp_path / "two", 40, size=80), tmp_path / "w2", config)
    truth = {d.hex(): "human" for d in second.origins.column("sha256").to_pylist()}
    assert review.carry_qualification(second.place, first.place) == {"test:r": 200}
    assert review.carry_qualification(second.place, first.place) == {}
    second.look("test:r", truth)
    found = certified_ratio(second.catalogue, second.origins, second.place)
    assert (found.reviewers[0].human_right, found.reviewers[0].ai_right) == (told.human_right, told.ai_right)
    assert found.n_labels == 40
    # Somebody who was measured here already cannot choose the better of two measurements.
    third = Table(fill(tmp_path / "three", 3, size=72), tmp_path / "w3", config, controls(3, "own"))
    third.qualify("test:r")
    assert review.carry_qualification(third.place, first.place) == {}


def test_only_what_stands_in_the_other_log_is_carried(tmp_path, config):
    first = Table(fill(tmp_path / "one", 3), tmp_path / "w1", config, controls(5))
    first.qualify("test:r")
    second = Workspace(tmp_path / "w2").create()
    assert review.carry_qualification(second, first.place) == {}  # no log yet
    with ReviewRecord(first.place) as record:
        review.record_in_log(first.place, record, config)
    first.known = controls(2, "late")
    first.qualify("test:r")  # not in the log
    assert review.carry_qualification(second, first.place) == {"test:r": 10}


# ------------------------------------------------------------------------------------------- slices


def test_slices_err_together_with_probability_alpha():
    """Twenty slices of exactly the floor: that any of them is called proven or refuted is rare."""
    import pyarrow as pa

    rng = np.random.default_rng(2)
    runs, wrong, slices, each = 120, 0, 20, 40
    n = slices * each
    labels = np.repeat([f"s{i:02}" for i in range(slices)], each)
    human = np.tile(np.arange(each) < 28, slices)
    none = np.zeros(n, bool)
    origins = pa.table({"style": labels})
    sure = {"a": Reviewer.of(400, 400, 400, 400, "a")}
    for _ in range(runs):
        order = rng.permutation(n)[:300]
        looks = tuple(Look(int(i), {"a": "human" if human[i] else "ai"}) for i in order)
        reviewed = ReviewedSet(Sample(looks, sure), none, none, np.full(n, np.nan))
        found = certified_slices(reviewed, origins, ("style", "missing"), minimum=30)
        assert len(found) == slices
        wrong += any(s.certificate.ratio.lower >= 0.7 or s.certificate.ratio.upper < 0.7 for s in found)
    assert clopper_pearson(wrong, runs, 0.02)[0] <= 0.05


def test_a_bad_slice_is_found_and_small_ones_are_left_out():
    import pyarrow as pa

    human = np.r_[np.ones(150, bool), np.zeros(150, bool), np.ones(5, bool)]
    labels = ["good"] * 150 + ["bad"] * 150 + ["few"] * 5
    rng = np.random.default_rng(0)
    looks = tuple(Look(int(i), {"a": "human" if human[i] else "ai"}) for i in rng.permutation(305))
    reviewed = ReviewedSet(
        Sample(looks, {"a": Reviewer.of(400, 400, 400, 400, "a")}),
        np.zeros(305, bool),
        np.zeros(305, bool),
        np.full(305, np.nan),
    )
    bad, good = certified_slices(reviewed, pa.table({"source": labels}), ("source",))
    assert (bad.name, good.name) == ("bad", "good")
    assert bad.certificate.ratio.upper < 0.7 <= good.certificate.ratio.lower
    assert bad.certificate.ratio.alpha == pytest.approx(0.025)


@pytest.mark.parametrize("answered", [True, False])
def test_a_slice_reads_what_a_mask_over_the_whole_would(answered):
    import pyarrow as pa

    rng = np.random.default_rng(12)
    n = 2000
    human, ai = rng.random(n) < 0.2, rng.random(n) < 0.1
    ai &= ~human
    labels = np.array(["", "a", "b", "cé", "few"])[rng.choice(5, n, p=[0.2, 0.4, 0.2, 0.19, 0.01])]
    keep, scores = rng.random(n) < 0.9, rng.random(n)
    unknown = np.flatnonzero(~human & ~ai)
    answers = np.array(["human", "ai", "unsure"])[rng.choice(3, n, p=[0.8, 0.15, 0.05])]
    looks = tuple(Look(int(i), {"a": str(answers[i])}) for i in rng.permutation(unknown)[:700])
    sample = Sample(
        looks if answered else (), {"a": Reviewer.of(395, 400, 390, 400, "a")}, frozenset(range(40)), 55
    )
    reviewed = ReviewedSet(sample, human, ai, scores)
    table = pa.table({"source": pa.array([name or None for name in labels])})
    found = certified_slices(reviewed, table, ("source",), keep=keep, minimum=30)
    assert {s.name for s in found} == {"a", "b", "cé"}
    for part in found:
        mask = keep & (labels == part.name)
        whole = reviewed.certify(keep=mask, floor=0.7, alpha=0.05 / 3)
        mine, theirs = part.certificate.ratio, whole.ratio
        assert (mine.lower, mine.point, mine.upper, mine.n) == (
            theirs.lower,
            theirs.point,
            theirs.upper,
            theirs.n,
        )
        assert part.certificate.n_labels == whole.n_labels
        assert (part.certificate.n_labels > 0) == answered
        if answered:
            assert part.certificate.to_json() == whole.to_json()
