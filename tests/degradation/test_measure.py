"""Generations measured as a user would, as folders, arrays, vectors; and all that can be wrong with them."""

from __future__ import annotations

import json
from hashlib import sha256

import numpy as np
import pytest
from PIL import Image

from genepool.dataset import open as open_dataset
from genepool.degradation import MEASURES, DegradationReport, measure, plots
from genepool.errors import MeasureError, SourceError, UsageError
from genepool.review import load_ladder
from genepool.store import ReviewRecord, Vote, Workspace
from support.galleries import crops, write

SHARES = [1.0, 0.5, 0.2]


def _world(n: int, seed: int, kinds: int = 40, shrink: float = 1.0) -> np.ndarray:
    centres = np.random.default_rng(99).normal(size=(40, 12)) * 4
    rng = np.random.default_rng(seed)
    return shrink * (centres[rng.integers(kinds, size=n)] + rng.normal(size=(n, 12)))


@pytest.fixture(scope="module")
def report(generations, human):
    return measure(generations, human, human=SHARES, names=["v1", "v2", "v3"], votes=False)


def test_what_a_worn_model_loses_is_found_in_every_measure(report):
    def values(name):
        return [float(v) for v in report.series(name)]

    for name in ("retention_first", "retention", "diversity", "coverage"):
        a, _, c = values(name)
        assert c < a, name
    for name in ("frechet", "artefact", "amplification"):
        a, b, c = values(name)
        assert a < b < c, name
    assert values("retention_first")[0] == pytest.approx(100)
    assert report.series("retention_first")[2].upper < 65
    # The grid doubles twice; its mark is a power, and grows faster.
    assert report.series("amplification")[2].lower > 1.5
    assert report.alarm.generation in (2, 3)
    assert report.alarm.crossing is not None
    assert report.crop == 64
    assert report.side == 64


def test_every_number_has_an_interval_and_an_n(report):
    for one in (*report.generations, report.baseline):
        for name, value in one.measures.items():
            assert value.lower <= value.value <= value.upper, name
            assert value.n > 0
            assert value.method
    assert report.baseline.measures["retention"].value == pytest.approx(100)
    assert report.baseline.measures["artefact"].lower == 0


def test_the_forecast_is_fitted_to_the_same_generations(report):
    made = report.forecast["retention_first"]
    assert made.b2.lower <= made.b2.value <= made.b2.upper
    assert made.b2.n == 3
    (ahead,) = made.predict([1.0])
    assert ahead.value == pytest.approx(made.scale)


def test_it_survives_json_and_its_table_names_everything(report):
    data = json.loads(json.dumps(report.to_json()))
    back = DegradationReport.from_json(data)
    assert back.to_json() == data
    text = "\n".join(back.table())
    for name in ("retention_first", "diversity", "coverage", "artefact", "variance", "tail"):
        assert MEASURES[name].title in text
    assert "beside the article's table" in text
    assert "73 %" in text
    assert "0.31" in text
    assert {"generations", "mechanisms", "spectrum", "forecast"} == set(plots(back))
    with pytest.raises(MeasureError, match="schema"):
        DegradationReport.from_json({"schema": "other"})
    with pytest.raises(MeasureError, match="expected a measure"):
        report.series("beauty")


def test_a_model_that_loses_nothing_raises_no_alarm():
    alarms = []
    for seed in range(6):
        sets = [_world(300, 10 * seed + k) for k in range(4)]
        found = measure(sets, _world(600, 7 + 100 * seed), human=[1, 0.5, 0.5, 0.5], votes=False)
        alarms.append(found.alarm.generation)
        assert all(abs(float(v) - 100) < 15 for v in found.series("retention_first"))
    assert sum(a is not None for a in alarms) <= 1


def test_vectors_say_nothing_about_pixels_and_sets_of_any_size_are_comparable():
    found = measure([_world(250, 1), _world(900, 2)], _world(600, 3), n=1000, votes=False)
    assert "no pixels" in found.generations[0].missing["artefact"]
    assert found.size == 200  # the held-out third of the reference
    for name in ("retention", "coverage", "frechet"):
        a, b = found.series(name)
        assert a.lower <= b.upper
        assert b.lower <= a.upper


def test_without_a_reference_half_of_the_first_generation_stands_for_human_work():
    found = measure([_world(1800, 1), _world(300, 2, kinds=15)], votes=False)
    assert found.reference["own"]
    assert found.generations[0].n == 900
    assert found.series("retention")[0].upper > 90
    assert found.series("retention")[1].upper < 70
    assert any("no reference" in note for note in found.notes)


def test_variance_is_a_ratio_of_variances():
    found = measure([_world(500, 1), _world(500, 2, shrink=0.7)], _world(1200, 3), votes=False)
    one, two = found.series("variance")
    assert one.value == pytest.approx(1, abs=0.08)
    assert two.value == pytest.approx(0.49, abs=0.06)


def test_the_same_call_gives_the_same_report(generations, human):
    a, b = (measure(generations[:2], human, names=["a", "b"], votes=False) for _ in range(2))
    assert a.to_json() == b.to_json()


def test_an_embedder_of_ones_own_is_asked_in_batches(human, generations):
    asked = []

    def embed(pictures):
        asked.append(len(pictures))
        return pictures.reshape(len(pictures), -1)[:, ::512].astype(float)

    found = measure(generations[:1], human, embed=embed, votes=False)
    assert sorted(asked) == [60, 150]
    assert found.generations[0].measures["coverage"].n > 0


# --------------------------------------------------------------------------------------- folders


@pytest.fixture
def folders(tmp_path, generations, human):
    write(tmp_path / "human", human[:80], "h")
    for i, pictures in enumerate(generations[:2], 1):
        write(tmp_path / f"v{i}", pictures[:45], "g")
    return tmp_path


def test_folders_are_read_and_what_is_damaged_is_counted(folders):
    (folders / "v2" / "broken.jpg").write_bytes((folders / "v2" / "g000.jpg").read_bytes()[:300])
    found = measure([folders / "v1", open_dataset(folders / "v2")], str(folders / "human"))
    assert [one.name for one in found.generations] == ["v1", "v2"]
    assert found.generations[1].aside == 1
    assert any("could not be read" in note for note in found.notes)
    assert not (folders / "v1.genepool").exists()
    why = found.generations[0].missing["preference"]
    assert why == f"needs people: genepool review {folders / 'v1'}, page Compare"


def test_people_are_asked_for_and_their_votes_count(folders):
    """Votes marked as test data stand in for people's, through the switch that tests alone may use."""
    from genepool.degradation import _people
    from genepool.degradation._measures import Generation
    from genepool.degradation._sets import SampleSet

    rungs = sorted(load_ladder().names)
    rows, sets = [], []
    for name, wins in (("v1", 0.8), ("v2", 0.2)):
        space = Workspace(folders / f"{name}.genepool").create()
        digests = [sha256(p.read_bytes()).hexdigest() for p in sorted((folders / name).glob("*.jpg"))]
        rng = np.random.default_rng(len(rows))
        with ReviewRecord(space) as record:
            for i in range(120):
                outcome = "a" if rng.random() < wins else "b"
                vote = Vote(digests[i % 40], rungs[i % len(rungs)], outcome, "test:Ann", float(i))
                record.add_vote(vote)
        dataset = open_dataset(folders / name)
        vectors = rng.normal(size=(len(digests), 6)) + 3 * wins
        sets.append(SampleSet(name, vectors, digests=tuple(digests), dataset=dataset))
        rows.append(Generation(name, 45, 45, 0, (64, 64, 64), None))
    _people.add_preference(rows, sets, alpha=0.05)
    assert all("needs people" in row.missing["preference"] for row in rows)
    _people.add_preference(rows, sets, alpha=0.05, tests=True)
    first, second = (row.measures["preference"] for row in rows)
    assert second.upper < first.lower
    assert first.value == pytest.approx(8, abs=1)
    assert first.n == 120
    assert "preference" not in rows[0].missing


# --------------------------------------------------------------------------------------- bad input


def test_too_few_pictures_are_refused_with_the_number_that_is_needed(generations, human):
    with pytest.raises(MeasureError, match="v2: expected at least 40 pictures, found 7") as caught:
        measure([generations[0], generations[1][:7]], human, names=["v1", "v2"])
    assert "33 more" in str(caught.value)
    with pytest.raises(MeasureError, match="at least 60 reference pictures, found 45"):
        measure(generations[:1], human[:45])
    with pytest.raises(MeasureError, match="at least 120 pictures, half of which"):
        measure(generations[:2])
    with pytest.raises(MeasureError, match="found none"):
        measure([[]], human)


def test_pictures_of_different_sizes_are_brought_together_and_said(photos, human):
    large = [picture.resize((200, 160)) for picture in crops(photos, 50, 5, side=160)]
    mixed = [p if i % 2 else p.resize((90, 70)) for i, p in enumerate(large)]
    found = measure([large, mixed], human, votes=False)
    assert found.side == 64
    assert any("different sizes" in note for note in found.notes)
    tiny = [Image.new("RGB", (6, 6))] * 60
    with pytest.raises(MeasureError, match="at least 8 × 8 pixels"):
        measure([tiny], human)


def test_other_bad_input_is_named(tmp_path, generations, human):
    with pytest.raises(UsageError, match="at least one generation"):
        measure([], human)
    with pytest.raises(UsageError, match="a sequence"):
        measure("folder", human)
    with pytest.raises(UsageError, match="human shares for 2 generations, found 1"):
        measure(generations[:2], human, human=[1.0])
    with pytest.raises(UsageError, match=r"in \[0, 1\]"):
        measure(generations[:2], human, human=[1.0, 3.0])
    with pytest.raises(UsageError, match="n ≥ 40"):
        measure(generations[:2], human, n=3)
    with pytest.raises(MeasureError, match="vectors for every set or for none"):
        measure([_world(50, 1)], human)
    with pytest.raises(MeasureError, match="finite vectors"):
        measure([np.full((50, 3), np.nan)], _world(100, 1))
    with pytest.raises(MeasureError, match="all alike"):
        measure([_world(50, 1)], np.ones((80, 12)))
    with pytest.raises(SourceError):
        measure([tmp_path / "nowhere"], human)
