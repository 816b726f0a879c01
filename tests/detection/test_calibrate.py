"""The mathematics of calibration, against other people's code and against draws whose truth is known."""

import json
import math

import numpy as np
import pytest
from scipy.stats import beta, binom
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score, roc_curve

from genepool.detection import Calibration, calibrate
from genepool.detection._fit import likelihood_ratios
from genepool.detection._metrics import (
    area_under_roc,
    balance,
    calibration_error,
    risk_coverage,
    roc_points,
)
from genepool.detection._temperature import fit_scale
from genepool.detection._thresholds import (
    Cell,
    controls_needed,
    find_thresholds,
    merge_groups,
    split,
)
from genepool.errors import MeasureError
from support.controls import GROUPS, draw, rates

DIGEST = "ab" * 32


@pytest.fixture(scope="module")
def fitted():
    return calibrate(*draw(7, 2.0), detector=DIGEST)


# ------------------------------------------------------------------------- measures against scikit-learn


@pytest.mark.parametrize("seed", range(4))
def test_auc_is_scikit_learns_with_ties(seed):
    x, y, _ = draw(seed, 0.2)
    x = np.round(x, seed)
    found = area_under_roc(x, y == 1)
    assert found.value == pytest.approx(roc_auc_score(y, x), abs=1e-12)
    assert (found.n_ai, found.n_human) == (y.sum(), (1 - y).sum())
    points = np.array(roc_points(x, y == 1, most=10**6))
    false, true, _ = roc_curve(y, x, drop_intermediate=False)
    assert np.allclose(points, np.stack([false, true], 1))


def test_delongs_variance_is_that_of_all_pairs():
    x, y, _ = draw(3, 0.1)
    high, low = x[y == 1], x[y == 0]
    wins = (high[:, None] > low).astype(float) + 0.5 * (high[:, None] == low)
    variance = wins.mean(1).var(ddof=1) / len(high) + wins.mean(0).var(ddof=1) / len(low)
    found = area_under_roc(x, y == 1)
    logit = math.log(found.value / (1 - found.value))
    width = 1.959963984540054 * math.sqrt(variance) / (found.value * (1 - found.value))
    assert found.lower == pytest.approx(1 / (1 + math.exp(width - logit)), abs=1e-9)
    assert found.upper == pytest.approx(1 / (1 + math.exp(-width - logit)), abs=1e-9)


def test_the_auc_interval_covers():
    truth = 0.9213503964748574  # P(N(2, 1) > N(0, 1)) = Φ(2/√2)
    rng = np.random.default_rng(0)
    y = np.repeat([True, False], 80)
    hits = 0
    for _ in range(400):
        found = area_under_roc(np.concatenate([rng.normal(2, 1, 80), rng.normal(0, 1, 80)]), y)
        hits += found.lower <= truth <= found.upper
    assert hits >= binom.ppf(1e-4, 400, 0.95)


def test_a_perfect_order_has_an_interval_too():
    found = area_under_roc(np.arange(40.0), np.arange(40) >= 20)
    assert (found.value, found.upper) == (1.0, 1.0)
    assert found.lower == pytest.approx(0.025 ** (1 / 20))


def test_calibration_error_is_the_gap_of_scikit_learns_bins():
    rng = np.random.default_rng(5)
    p = rng.uniform(0, 1, 3000)
    y = rng.uniform(0, 1, 3000) < p**2
    share, mean = calibration_curve(y, p, n_bins=15)
    filled = np.bincount(np.minimum((p * 15).astype(int), 14), minlength=15)
    expected = np.abs(share - mean) @ filled[filled > 0] / 3000
    assert calibration_error(p, y) == pytest.approx(expected, abs=1e-12)
    doubled = calibration_error(np.append(p, p[:500]), np.append(y, y[:500]))
    weights = np.append(np.full(500, 2.0), np.ones(2500))
    assert calibration_error(p, y, weights) == pytest.approx(doubled, abs=1e-12)


def test_pooled_temperature_is_scikit_learns_logistic_regression():
    x, y, g = draw(1, 2.0)
    x = 40 * x + 900  # any scale and offset
    scale = fit_scale(x, y == 1, g, "pooled")
    weights = balance(y == 1, g) * len(x)
    model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000)
    standard = (x - 900) / 40
    model.fit(standard[:, None], y, sample_weight=weights)
    p = 1 / (1 + np.exp(-scale(x)))
    # Platt's smoothed targets are the only difference.
    assert np.abs(p - model.predict_proba(standard[:, None])[:, 1]).max() < 0.005


def test_the_worst_groups_temperature_is_kept():
    x, y, g = draw(2, 2.0)
    worst, pooled = (fit_scale(x, y == 1, g, rule) for rule in ("worst", "pooled"))
    assert worst.temperature == pytest.approx(max(worst.groups.values()))
    assert worst.temperature > pooled.temperature
    # Wrong way round in one group: no infinite or negative temperature.
    turned = np.where(g == "pixel", -8.0, x)
    assert 0 < fit_scale(turned, y == 1, g).temperature < math.inf


def test_risk_coverage_counts_what_it_says():
    x, y, _ = draw(4, 0.5)
    rows = risk_coverage(x, y == 1, n=len(x) + 100)
    for row in rows:
        decided = np.abs(x) >= row["confidence"]
        assert row["decided"] == decided.sum()
        assert row["wrong"] == ((x[decided] > 0) != (y[decided] == 1)).sum()
        k, n = row["wrong"], row["decided"]
        assert row["upper"] == pytest.approx(beta.ppf(0.975, k + 1, n - k))
    assert rows[-1]["coverage"] == pytest.approx(len(x) / (len(x) + 100))


# ------------------------------------------------------------------------- groups and needed numbers


def test_needed_controls_are_the_published_ones():
    # Zero failures: ln .05 / ln .94 = 48.4 (the success-run theorem).
    assert controls_needed(0.94, 0.05) == 49
    assert controls_needed(0.95, 0.05) == 59
    assert controls_needed(0.90, 0.05, 1) == 46
    for wrong in range(4):
        n = controls_needed(0.94, 0.05, wrong)
        assert binom.cdf(wrong, n, 0.06) <= 0.05 < binom.cdf(wrong, n - 1, 0.06)


def test_small_groups_are_merged_within_their_class():
    group = np.array(["a"] * 200 + ["b"] * 90 + ["c"] * 40 + ["d"] * 30 + ["e"] * 400)
    ai = np.array([True] * 360 + [False] * 400)
    merged = merge_groups(group, ai, 150)
    assert {str(n): int((merged == n).sum()) for n in np.unique(merged)} == {
        "a": 200,
        "b + c + d": 160,
        "e": 400,
    }
    assert set(merge_groups(group[-50:], ai[-50:], 150)) == {"e"}


def test_the_draw_is_reproducible_and_within_groups():
    _, _, g = draw(0)
    first, second = split(g, 3), split(g, 3)
    assert (first == second).all()
    assert not (first == split(g, 4)).all()
    for name in np.unique(g):
        assert first[g == name].mean() == pytest.approx(1 / 3, abs=0.01)


# ------------------------------------------------------------------------- the promise


def kept_promise(seed, scale, accuracy=0.94):
    """Whether every tested group really has the accuracy; None: nothing was promised."""
    x, y, g = draw(seed, scale)
    try:
        found = find_thresholds(x, y == 1, g, accuracy=accuracy, alpha=0.05, seed=seed)
    except MeasureError:
        return None
    return all(true_accuracy(cell, found) >= accuracy for cell in found.cells)


def true_accuracy(cell, thresholds):
    called_ai, called_human = rates(cell.name.split(" + "), thresholds.human_below, thresholds.ai_above)
    return (called_ai if cell.ai else called_human) / (called_ai + called_human)


def test_the_promise_holds_in_95_of_100_repetitions_and_naive_thresholds_break_it():
    n = 40
    outcomes = [kept_promise(seed, 1.0) for seed in range(n)]
    broken = sum(outcome is False for outcome in outcomes)
    assert broken <= binom.ppf(0.99, n, 0.05)
    assert sum(outcome is None for outcome in outcomes) < n / 3
    naive = sum(not naive_promise(seed) for seed in range(n))
    assert naive > binom.ppf(0.9999, n, 0.05)


def naive_promise(seed, accuracy=0.94):
    """Thresholds tuned until every group looks right on the very controls that tuned them."""
    x, _, g = draw(seed)
    for t in np.linspace(0, 3, 61):
        seen = True
        for name, (ai, _, _) in GROUPS.items():
            called_ai, called_human = (x[g == name] >= t).sum(), (x[g == name] <= -t).sum()
            right = called_ai if ai else called_human
            seen &= right >= accuracy * max(1, called_ai + called_human)
        if seen:
            break
    worst = []
    for name, (ai, _, _) in GROUPS.items():
        called_ai, called_human = rates([name], -t, t)
        worst.append((called_ai if ai else called_human) / (called_ai + called_human))
    return min(worst) >= accuracy


def test_the_promise_at_the_edge_where_one_group_just_fails():
    """One group of AI images is human to the detector: nothing may be promised that is not true."""
    groups = {**GROUPS, "pixel": (True, -1.5, 400)}
    broken = 0
    for seed in range(15):
        x, y, g = draw(seed, 1.0, groups)
        try:
            found = find_thresholds(x, y == 1, g, accuracy=0.94, alpha=0.05, seed=seed)
        except MeasureError:
            continue
        for cell in found.cells:
            if cell.name == "pixel":
                ai, human = rates(["pixel"], found.human_below, found.ai_above, groups)
                broken += ai / (ai + human) < 0.94
    assert broken <= binom.ppf(0.99, 15, 0.05)


def test_likelihood_ratios_are_below_the_true_ones(fitted):
    above = (fitted.ai_above - fitted.bias) * fitted.temperature
    below = (fitted.human_below - fitted.bias) * fitted.temperature
    tested = [row["group"].split(" + ") for row in fitted.measured["tested"]["groups"]]
    true = {tuple(names): rates(names, below, above) for names in tested}
    ai = [r for names, r in true.items() if GROUPS[names[0]][0]]
    human = [r for names, r in true.items() if not GROUPS[names[0]][0]]
    assert 0 < fitted.llr_ai < math.log(min(r[0] for r in ai) / max(r[0] for r in human))
    assert 0 > fitted.llr_human > math.log(max(r[1] for r in ai) / min(r[1] for r in human))


def test_likelihood_ratios_by_hand():
    cells = (Cell("a", True, 100, 60, 1, 0.05), Cell("h", False, 200, 2, 150, 0.03))
    each = 0.05 / 4
    low_ai, high_ai = beta.ppf(each, 60, 41), beta.ppf(1 - each, 2, 99)
    high_h, low_h = beta.ppf(1 - each, 3, 198), beta.ppf(each, 150, 51)
    found = likelihood_ratios(cells, 0.05)
    assert found == pytest.approx((math.log(low_ai / high_h), math.log(high_ai / low_h)))
    # A verdict that is as common on the wrong side is worth nothing, never a vote for the other side.
    assert likelihood_ratios((Cell("a", True, 99, 5, 50, 1), Cell("h", False, 99, 6, 60, 1)), 0.05) == (0, 0)


# ------------------------------------------------------------------------- the record


def test_a_calibration_says_what_was_measured(fitted):
    assert fitted.n == sum(fitted.groups.values()) == 4820
    told = fitted.measured
    assert told["auc"]["value"] > 0.97
    assert told["ece"]["lower"] <= told["ece"]["value"] <= told["ece"]["upper"]
    assert told["ece_held_out"]["n"] == 4820
    assert {row["source"] for row in told["sources"]} == set(GROUPS)
    assert all(row["accuracy_lower"] >= 0.94 for row in told["tested"]["groups"])
    assert sum(row["n"] for row in told["tested"]["groups"]) == told["tested"]["n"]
    assert Calibration.from_json(json.loads(json.dumps(fitted.to_json()))) == fitted
    x, y, _ = draw(7, 2.0)
    verdicts = [fitted.decide(float(v))[1] for v in x]
    wrong = sum(v != "abstain" and (v == "ai") != bool(t) for v, t in zip(verdicts, y, strict=True))
    assert wrong == sum(row["wrong"] for row in told["sources"])
    assert told["coverage"]["value"] == pytest.approx(1 - verdicts.count("abstain") / len(x))


def test_the_same_controls_give_the_same_calibration():
    x, y, g = draw(7, 2.0)
    assert calibrate(x, y, g, detector=DIGEST) == calibrate(x, y, g, detector=DIGEST)
    words = np.where(y == 1, "ai", "human")
    assert calibrate(x, words, g, detector=DIGEST, temperature="pooled").llr_ai == pytest.approx(
        calibrate(x, y.astype(bool), g, detector=DIGEST).llr_ai
    )


def test_abstentions_count_in_the_denominators():
    x, y, g = draw(7, 2.0)
    silent = np.where(np.random.default_rng(0).uniform(size=len(x)) < 0.3, np.nan, x)
    found = calibrate(silent, y, g, detector=DIGEST)
    assert found.measured["abstained"] == np.isnan(silent).sum()
    assert found.measured["coverage"]["value"] < 0.7
    assert found.measured["auc"]["n_ai"] == (np.isfinite(silent) & (y == 1)).sum()


def test_too_few_controls_say_how_many_are_needed():
    x, y, g = draw(0, 0.1)
    with pytest.raises(MeasureError) as told:
        calibrate(x, y, g, detector=DIGEST)
    assert "94%" in told.value.message
    assert "49 decided test controls" in told.value.hint
    with pytest.raises(MeasureError, match="both classes, found 0 AI"):
        calibrate(x[y == 0], y[y == 0], g[y == 0], detector=DIGEST)
    with pytest.raises(MeasureError, match="found 0 AI and 0 human"):
        calibrate(np.full(len(x), np.nan), y, g, detector=DIGEST)
    with pytest.raises(MeasureError, match="found shapes"):
        calibrate(x, y[:-1], g, detector=DIGEST)
    with pytest.raises(MeasureError, match="accuracy in"):
        calibrate(x, y, g, detector=DIGEST, accuracy=1.0)


def test_a_detector_that_knows_nothing_gets_no_thresholds():
    x, y, g = draw(0, 3.0)
    with pytest.raises(MeasureError, match=r"no thresholds hold|too few decided"):
        calibrate(np.random.default_rng(1).normal(size=len(x)), y, g, detector=DIGEST)


def test_one_name_for_both_classes_is_two_groups():
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(4, 1, 300), rng.normal(-4, 1, 300)])
    found = calibrate(x, [1] * 300 + [0] * 300, ["mine"] * 600, detector=DIGEST)
    assert set(found.groups) == {"ai: mine", "human: mine"}
