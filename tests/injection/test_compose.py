"""Blends of several pools: the optimum, its certificate, its prices, and real folders from end to end."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genepool import provenance
from genepool.cli import main
from genepool.config import Config
from genepool.dataset import open as open_dataset
from genepool.errors import PolicyError, UsageError
from genepool.injection import _groups, compose
from genepool.injection._blend import Programme, solve
from genepool.store import Workspace
from support.galleries import computed, crops, write
from support.scans import scanned


def programme(seed, g=6, quota=0.5, balance=0.5):
    rng = np.random.default_rng(seed)
    root = rng.random((g, 4))
    similarity = root @ root.T / 4
    human = np.arange(g) < g // 2
    return Programme(
        similarity=similarity,
        scale=float(similarity.mean()),
        retention=np.where(human, 1.0, rng.uniform(0.2, 0.9, g)),
        balance=balance,
        cap=rng.uniform(0.3, 0.8, g),
        human=human,
        quota=quota,
    )


def feasible(ask, p):
    return (
        abs(p.sum() - 1) < 1e-9
        and (p >= -1e-12).all()
        and (p <= ask.cap + 1e-9).all()
        and p[ask.human].sum() >= ask.quota - 1e-9
    )


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.5, 0.7]), st.sampled_from([0.0, 0.3, 1.0]))
def test_no_feasible_shares_are_better_by_more_than_the_gap(seed, quota, balance):
    ask = programme(seed, quota=quota, balance=balance)
    found = solve(ask)
    assert found is not None
    assert feasible(ask, found.shares)
    assert found.gap < 1e-4
    assert found.value == pytest.approx(ask.value(found.shares))
    rng = np.random.default_rng(seed)
    tried = 0
    for p in rng.dirichlet(np.ones(len(ask.cap)), 400):
        if feasible(ask, p):
            tried += 1
            assert ask.value(p) >= found.value - found.gap - 1e-9
    assert tried or quota > 0.6


def test_multipliers_are_the_slope_of_the_optimum():
    plain = programme(3, quota=0.75, balance=0.8)
    fields = {k: getattr(plain, k) for k in plain.__slots__}
    ask = Programme(**{**fields, "retention": np.where(plain.human, 0.1, 0.9)})  # the quota hurts
    found = solve(ask)
    step = 1e-3
    more = solve(Programme(**{**{k: getattr(ask, k) for k in ask.__slots__}, "quota": ask.quota + step}))
    assert found.human_price > 0.001
    assert (more.value - found.value) / step == pytest.approx(found.human_price, rel=0.1)
    k = int(np.argmax(found.cap_prices))
    cap = ask.cap.copy()
    cap[k] += step
    wider = solve(Programme(**{**{k: getattr(ask, k) for k in ask.__slots__}, "cap": cap}))
    assert found.cap_prices[k] > 0.001
    assert (found.value - wider.value) / step == pytest.approx(found.cap_prices[k], rel=0.1)


def test_what_cannot_be_met_has_no_answer():
    ask = programme(0, quota=1.0)
    small = Programme(**{**{k: getattr(ask, k) for k in ask.__slots__}, "cap": ask.cap * 0.1})
    assert solve(small) is None


# ------------------------------------------------------------------------------------------- folders


@pytest.fixture
def pools(tmp_path, photos):
    """A human pool, outputs of generation 1 and 3, pictures of unknown origin; some repeat."""
    human = tmp_path / "human"
    write(human, crops(photos, 40, seed=1, side=96), "h")
    space = tmp_path / "human.genepool"
    work = Workspace(space)
    provenance.register_human(scanned(human, space), work, cohort="archive", config=Config())
    provenance.register_model(work, "M1", [("archive", 1.0)], config=Config())
    early = tmp_path / "early"
    write(early, crops(photos, 24, seed=2, side=80), "e")
    (early / "copy.jpg").write_bytes((early / "e000.jpg").read_bytes())
    provenance.register_outputs(scanned(early, space), work, model="M1", cohort="early", config=Config())
    provenance.register_model(work, "M2", [("early", 1.0)], config=Config())
    provenance.register_model(work, "M3", [("M2", 1.0)], config=Config())
    late = tmp_path / "late"
    write(late, crops(photos, 12, seed=3, side=72), "l")
    provenance.register_outputs(scanned(late, space), work, model="M3", cohort="late", config=Config())
    other = tmp_path / "other"
    write(other, computed(8, seed=4, side=72), "o")
    return [human, early, late, other], work


def test_a_set_from_four_pools(pools, tmp_path):
    folders, work = pools
    found = compose(map(str, folders), 40, workspace=work.root, config=Config())
    assert sum(map(len, found.chosen)) == found.size == 40
    assert found.human >= 0.70
    assert found.gap < 1e-3
    assert found.chosen[2] == ()
    by = {(s.label, s.reason): s for s in found.servings}
    assert by["M3", "generation"].taken == 0
    assert by["M3", "generation"].available == 12
    assert by["M1", "repeats"].available == 1
    assert by["archive", ""].retention == 1.0
    assert by["M1", ""].retention == pytest.approx(0.8)
    assert found.retention <= 1.0
    assert found.diversity.n == 40
    prices = {p.constraint: p for p in found.prices}
    assert set(prices) == {"human_ratio", "generation", "repeats"}
    for price in prices.values():
        # Without a constraint it can only get better (up to rounding to whole images).
        assert price.score >= found.score - 0.02
    # The same again, to the image.
    again = compose(map(str, folders), 40, workspace=work.root, config=Config())
    assert again.chosen == found.chosen
    manifest = found.export(tmp_path / "out")
    assert manifest.n == 40
    written = open_dataset(str(tmp_path / "out"))
    assert len(written) == 40
    # The new set reads the pools' log, so that its generations are known there too.
    from genepool import origin, store

    catalogue = scanned(tmp_path / "out", tmp_path / "out.genepool")
    table = origin.settle(catalogue, store.workspace_for(written), Config())
    assert sum(table["human"].to_pylist()) == round(found.human * 40)
    json.dumps(found.to_json())


def test_balance_moves_between_retention_and_diversity(pools):
    folders, work = pools
    keep = compose(map(str, folders), 36, balance=0.0, workspace=work.root, config=Config())
    mix = compose(map(str, folders), 36, balance=1.0, workspace=work.root, config=Config())
    assert keep.retention == pytest.approx(1.0)
    assert keep.human == 1.0
    assert mix.styles >= keep.styles - 1e-6


def test_weights_of_generations_count(pools):
    folders, work = pools
    config = Config().with_(generation__weights=[0.0])
    plain = compose(map(str, folders), 50, balance=0.3, human_ratio=0.5, workspace=work.root, config=Config())
    light = compose(map(str, folders), 50, balance=0.3, human_ratio=0.5, workspace=work.root, config=config)
    assert light.human >= plain.human


@pytest.mark.parametrize(
    ("size", "changes", "error", "message"),
    [
        (1, {}, UsageError, "size of at least 2"),
        (40, {"balance": 2}, UsageError, "balance in"),
        (5000, {}, PolicyError, "enough for 57"),
        (5000, {"human_ratio": 0.0}, PolicyError, "enough for 72: 72 may be used"),
    ],
)
def test_what_the_pools_cannot_give(pools, size, changes, error, message):
    folders, work = pools
    with pytest.raises(error, match=message):
        compose(map(str, folders), size, workspace=work.root, config=Config(), **changes)


def test_no_human_pool(pools):
    folders, work = pools
    with pytest.raises(PolicyError, match="verified human images, found none"):
        compose(map(str, folders[1:]), 10, workspace=work.root, config=Config())
    with pytest.raises(UsageError, match="at least one pool"):
        compose([], 10, config=Config())


def test_many_groups_become_few(monkeypatch):
    monkeypatch.setattr(_groups, "GROUPS", 10)
    groups = [
        _groups.Group(0, f"c{k}", "human", (0, 0), 1.0, 1.0, "", np.arange(k, k + 1 + k % 7))
        for k in range(40)
    ]
    merged = _groups._merged(groups)
    assert len(merged) == 6
    assert sum(len(g.rows) for g in merged) == sum(len(g.rows) for g in groups)


def test_the_verb(pools, tmp_path, capsys):
    folders, work = pools
    out = tmp_path / "blend"
    command = ["compose", *map(str, folders), "--size", "30", "--workspace", str(work.root), "--workers", "1"]
    with pytest.raises(SystemExit) as ended:
        main([*command, "-o", str(out)])
    text = capsys.readouterr().out
    assert ended.value.code == 0
    assert "30 images" in text
    assert "left out: generation" in text
    assert "human quota" in text
    assert len(list(out.rglob("*.jpg"))) == 30
    with pytest.raises(SystemExit) as ended:
        main([*command, "--format", "json"])
    data = json.loads(capsys.readouterr().out)
    assert data["schema"] == "genepool.composition/1"
    assert sum(s["taken"] for s in data["servings"]) == 30
