"""What the sections say: every number again from the plain data, every cap, every stranger's name as text."""

from __future__ import annotations

import dataclasses
import html
import math
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from scipy.stats import beta

from genepool.report import _about, _detector, _diversity, _history, _pairs, _people, _rights, write
from genepool.review import board
from genepool.store import ReviewRecord
from support import fullreport, reports


@pytest.fixture(scope="module")
def held(tmp_path_factory):
    return fullreport.catalogue(tmp_path_factory.mktemp("full"), lost=False)


@pytest.fixture(scope="module")
def text(held, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    assert write(fullreport.decision("fail", held), held, reports.origins(held), path) < 2_000_000
    return path.read_text("utf-8")


class Tables(HTMLParser):
    """Rows of cells of every table, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.inside = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
            self.inside = True

    def handle_endtag(self, tag):
        self.inside = self.inside and tag not in ("td", "th")

    def handle_data(self, data):
        if self.inside:
            self.rows[-1][-1] += data


def section(text: str, name: str) -> str:
    return next(part for part in text.split("<section")[1:] if f'<h2 id="{name}"' in part)


def test_nothing_is_left_to_fill_and_every_chart_has_words_and_numbers(text):
    lines = re.findall(r'<p class="fill">(.*?)</p>', html.unescape(text))
    assert [line.split("<")[0].strip() for line in lines] == [
        "No model and no cohort of human work is registered.",
        "Styles lost since an earlier generation, or since the human original:",
        "Nothing was kept of the model's generations.",
        "No costs were reckoned for this set.",
    ]
    figures = re.findall(r"<figure>(?:(?!</figure>).)*?class=\"chart\".*?</figure>", text, re.DOTALL)
    assert len(figures) == 7
    for figure in figures:
        label = re.search(r'class="chart"[^>]*aria-label="([^"]+)"', figure)
        assert label is not None
        assert len(label.group(1)) > 40
        assert "<summary>The numbers</summary>" in figure
        assert len(Tables(figure).rows) >= 2
    for raw in ("<b>bob", "<b>odd"):
        assert raw not in text
        assert raw.replace("<", "&lt;").replace(">", "&gt;") in text


def test_scores_are_counted_by_what_is_known(held, text):
    made = fullreport.calibration()
    table = reports.origins(held)
    human, ai = (np.array(table[name].to_pylist()) for name in ("human", "ai"))
    logit = np.array([math.nan if x is None else x for x in held.columns["logit"]])
    z = logit / made["temperature"] + made["bias"]
    seen = ~np.isnan(z)
    rows = Tables(section(text, "detector")).rows
    bins = [r for r in rows if re.fullmatch(r"[+-][\d.]+ to [+-][\d.]+", r[0])]
    sums = [sum(int(r[i]) for r in bins) for i in (1, 2, 3)]
    assert sums == [int((m & seen).sum()) for m in (human, ai, ~(human | ai))]
    for row, truth, right in (
        ("human work", human, z <= made["human_below"]),
        ("AI", ai, z >= made["ai_above"]),
    ):
        shown = next(r for r in rows if r[0] == row and len(r) == 5)
        decided = truth & seen & ((z <= made["human_below"]) | (z >= made["ai_above"]))
        k, n = int((decided & right).sum()), int(decided.sum())
        low = beta.ppf(0.025, k, n - k + 1)
        high = 1.0 if k == n else beta.ppf(0.975, k + 1, n - k)
        assert [shown[1], shown[3]] == [str(int((truth & seen).sum())), str(k)]
        assert shown[2].startswith(f"{n} (")
        assert shown[4] == f"{k / n:.2f} [{low:.2f}, {high:.2f}]"
    curve = [r for r in rows if re.fullmatch(r"[\d.]+ to [\d.]+", r[0])]
    assert sum(int(r[3]) for r in curve) == int(((human | ai) & seen).sum())
    assert sum(round(float(r[2].split()[0]) * int(r[3])) for r in curve) == pytest.approx(
        int((ai & seen).sum()), abs=2
    )


def test_the_images_most_like_ai(held, text):
    logit = [(-math.inf if x is None else x, -i) for i, x in enumerate(held.columns["logit"])]
    best = sorted(range(held.n), key=lambda i: logit[i], reverse=True)[:3]
    part = section(text, "detector")
    part = part[part.index("Most like AI") :]
    shown = re.findall(r"<figcaption><bdi>([^<]+)</bdi>", part)[:3]
    assert shown == [held.uris[i] for i in best]


def test_a_scan_without_a_detector_says_what_to_run(tmp_path):
    plain = reports.catalogue(20)
    made = dataclasses.replace(reports.decision("pass", plain), extra={})
    assert _detector.judged(made, plain, reports.origins(plain)) is None
    path = tmp_path / "r.html"
    write(made, plain, reports.origins(plain), path)
    assert "<code>genepool detect &#39;/data/my set&#39;</code>" in path.read_text("utf-8")


def test_a_detector_without_calibration_shows_scores_and_decides_nothing(held):
    other = dataclasses.replace(held, columns={**held.columns, "detector": ["mine@" + "0" * 64] * held.n})
    found = _detector.judged(fullreport.decision("pass", other), other, reports.origins(other))
    assert found.scores is not None
    assert (found.known, found.roc, found.reliability) == ((), None, None)


def test_pairs_are_shown_with_their_cap(held, text):
    found = _pairs.repeats(fullreport.decision("fail", held))
    assert found.note == "12 of 24 pairs shown, the least sure first"
    assert found.pairs[0].words == "equal to the copy embedder"
    assert found.note in text
    assert section(text, "duplicates").count("<img") >= 20
    for odd in (
        {},
        {"duplicates": 3},
        {"duplicates": {"n_exact": "x"}},
        {"duplicates": {"n_exact": 0, "n_near": 0}},
    ):
        assert _pairs.repeats(dataclasses.replace(fullreport.decision("fail", held), extra=odd)) is None
    odd = {"duplicates": {"n_near": 2, "pairs": [3, {"image": ""}, {"image": "a", "kept": "b", "by": "<x>"}]}}
    found = _pairs.repeats(dataclasses.replace(fullreport.decision("fail", held), extra=odd))
    assert [(p.image.uri, p.kept.uri, p.words) for p in found.pairs] == [("a", "b", "<x>")]


def test_the_index_over_time(held, text):
    made = fullreport.decision("fail", held)
    rows = _history.chart(made).rows
    assert rows[0] == ("2026-06-06 20:26", "0.71", "[0.60, 0.73]", str(held.n - 9), "fail")
    assert rows[-1][1] == "0.62"
    assert "Style diversity index over 10 checks: 0.62 on 2026-05-28" in text
    one = {"history": made.extra["history"][:1]}
    assert _history.chart(dataclasses.replace(made, extra=one)) is None
    odd = [*made.extra["history"][:2], {"at": 1e30, "diversity": {"value": 1}}, {"at": 1, "diversity": {}}, 3]
    odd += [{"at": "x", "diversity": {"value": 0.5}}, {"at": 5, "diversity": {"value": math.nan}}]
    assert len(_history.chart(dataclasses.replace(made, extra={"history": odd})).rows) == 2


def test_people_as_the_board_says(held, text):
    with ReviewRecord(held.workspace) as record:
        truth = board(record)
    rows = {r[0]: r for r in Tables(section(text, "review")).rows if r}
    for one in truth.reviewers:
        row = rows[one.reviewer]
        assert row[1] == str(one.verdicts)
        assert row[2].startswith(f"{one.human_recall.k}/{one.human_recall.n} [{one.human_recall.lower:.2f}, ")
        assert row[3].startswith(f"{one.ai_recall.k}/{one.ai_recall.n} [")
        assert row[6].startswith("test data, no person")
    alpha = rows["Krippendorff's alpha"]
    assert alpha[1:3] == [f"{truth.alpha.value:.2f}", f"[{truth.alpha.lower:.2f}, {truth.alpha.upper:.2f}]"]
    assert alpha[3] == f"{truth.alpha.units} images, {truth.alpha.ratings} answers"
    assert rows["Gwet's AC1"][1] == f"{truth.ac1.value:.2f}"


def test_damaged_reviews_do_not_take_the_page_along(held, tmp_path):
    from genepool.store import Workspace

    space = Workspace(tmp_path / "w").create()
    space.reviews.write_bytes(b"not a database" * 100)
    assert _people.looked(reports.decision("pass", held), dataclasses.replace(held, workspace=space)) is None


def test_licences_are_counted(held):
    found = _rights.rights(reports.decision("pass", held), held)
    wanted = {}
    for i in range(held.n):
        name = ("CC0-1.0", "<b>odd</b>", "public domain")[i % 3] if i % 4 else "none declared"
        wanted[name] = wanted.get(name, 0) + 1
    assert {name: int(n) for name, n, _ in found["licences"]} == wanted
    assert found["licences"][-1][0] == "none declared"
    many = dataclasses.replace(
        held, columns={**held.columns, "declared": [f'{{"license": "L{i % 50:02}"}}' for i in range(held.n)]}
    )
    found = _rights.rights(reports.decision("pass", many), many)
    assert len(found["licences"]) == 20
    assert found["more"] == "30 further licences, of 180 images, not shown."
    for said in ("", '{"origin": "captured"}'):
        none = dataclasses.replace(held, columns={**held.columns, "declared": [said] * held.n})
        bare = dataclasses.replace(reports.decision("pass", none), extra={})
        assert _rights.rights(bare, none) is None  # and no database was asked


def test_what_was_lost_since_the_reference(held):
    made = reports.decision("pass", held)
    one = {"value": 0.5, "lower": 0.4, "upper": 0.6}
    kept = {
        "dataset": {"uri": made.uri, "root": made.root, "n": 9},
        "against": "<b>before</b>",
        "reference": {
            "n": 1234, "ufr": one, "coverage": one, "density": one, "frechet": one,
            "lost": {
                "under_represented": 3,
                "missing": [{"prototype": 7, "like": "", "count": 0, "expected": 4.5}],
            },
        },
    }  # fmt: skip
    held.workspace.write_json("diversity.json", kept)
    found = _diversity.lost(made, held)
    assert found.words == "Against <b>before</b>, 1,234 images."
    assert found.missing == (("prototype 7", "0.00", "4.50"),)
    assert found.total == 3
    changed = dataclasses.replace(made, root="00")
    assert "has changed since" in _diversity.lost(changed, held).words
    assert _diversity.lost(dataclasses.replace(made, uri="/other"), held) is None
    for odd in ({}, {"reference": 3}, {**kept, "reference": {"n": 1}}, []):
        held.workspace.write_json("diversity.json", odd)
        assert _diversity.lost(made, held) is None


def test_the_report_says_where_it_comes_from(tmp_path, held):
    import hashlib

    place = tmp_path / "certificate.genepool"
    place.write_bytes(b"x" * 100)
    made = reports.decision("pass", held)
    log = {**made.extra["ledger"], "certificate": str(place), "key_place": "/home/me/key", "key": "me+1"}
    made = dataclasses.replace(made, extra={**made.extra, "ledger": log})
    tables = dict(_about.about(made))
    assert list(tables)[:5] == ["Data", "Approved part", "Log head", "Certificate", "Versions"]
    assert tables["Certificate"][1] == ("SHA-256", hashlib.sha256(b"x" * 100).hexdigest())
    assert ("head: root hash of the tree", "ab12" * 16) in tables["Log head"]
    assert "/home/me/key" not in str(tables["Log head"])
    assert [c for c, _ in _about.checks(made)] == [
        "genepool verify '/data/my set'",
        f"genepool verify {place} '/data/my set'",
    ]
    place.unlink()
    assert "no such certificate" in dict(_about.about(made))["Certificate"][1][1]
