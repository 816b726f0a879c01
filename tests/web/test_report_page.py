"""The report in a real browser: quiet, offline, readable on a phone, inert whatever the files are called."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from genepool.report import write
from support import fullreport, reports

pytestmark = pytest.mark.browser
STATES = ("pass", "fail", "undecided")


@dataclass
class Seen:
    """A page that is open, and what it did while it loaded."""

    page: object
    problems: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    from playwright.sync_api import sync_playwright

    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as player:
        held = player.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        yield held
        held.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("reports")
    plain = reports.catalogue(300, names=reports.HOSTILE)
    full = fullreport.catalogue(folder)
    made = {}
    for status in STATES:
        made[status] = folder / f"{status}.html"
        held = full if status == "fail" else plain
        decide = fullreport.decision if status == "fail" else reports.decision
        decision = decide(status, held, cases=5000 if status == "fail" else 31)
        assert write(decision, held, reports.origins(held), made[status]) < 2_000_000
    return made


@pytest.fixture
def visit(browser, files):
    opened = []

    def call(status: str, width: int = 1280, scheme: str = "light") -> Seen:
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        opened.append(page)
        seen = Seen(page)
        page.on("console", lambda message: seen.problems.append(message.text))
        page.on("pageerror", lambda error: seen.problems.append(str(error)))
        page.on("dialog", lambda dialog: (seen.problems.append("dialog"), dialog.dismiss()))
        page.on("request", lambda request: seen.requests.append(request.url))
        page.goto(files[status].as_uri())
        return seen

    yield call
    for page in opened:
        page.close()


@pytest.mark.parametrize("status", STATES)
def test_it_is_quiet_and_asks_nobody(visit, files, status):
    seen = visit(status)
    assert seen.problems == []
    assert [url for url in seen.requests if not url.startswith("data:")] == [files[status].as_uri()]
    assert seen.page.locator("h1").inner_text() == status.upper()
    broken = "[...document.images].filter(i => !i.complete || !i.naturalWidth).length"
    assert seen.page.evaluate(broken) == 0
    assert seen.page.locator("img").count() > 20


@pytest.mark.parametrize("status", STATES)
def test_no_sideways_scrolling_on_a_phone(visit, status):
    page = visit(status, 390).page
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize(("status", "scheme"), [("fail", "light"), ("undecided", "dark")])
def test_no_serious_accessibility_fault(visit, status, scheme):
    """axe-core finds nothing serious or critical, with everything that can be opened open."""
    from axe_playwright_python.sync_playwright import Axe

    page = visit(status, 1280 if scheme == "light" else 390, scheme).page
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    found = Axe().run(page).response
    assert len(found["passes"]) > 15, "the checker did not look"
    serious = [
        (v["id"], v["nodes"][0]["html"][:200])
        for v in found["violations"]
        if v["impact"] in ("serious", "critical")
    ]
    assert serious == []


def test_headings_and_landmarks(visit):
    page = visit("fail").page
    heads = page.locator("h2").all_inner_texts()
    order = ["Numbers", "What to do next", "Origins", "Slices that fall short", "Pedigree and generations",
             "Detector scores and calibration", "Diversity", "Degradation of the model", "Duplicates",
             "Set aside", "Rights", "Review", "Economics", "Provenance of this report"]  # fmt: skip
    assert heads == order
    for role in ("banner", "main", "navigation", "contentinfo"):
        assert page.get_by_role(role).count() == 1
    unnamed = (
        "[...document.querySelectorAll('img, svg[role=img]')].filter(e => !(e.alt || e.ariaLabel)).length"
    )
    assert page.evaluate(unnamed) == 0


def test_hostile_names_are_shown_and_do_nothing(visit):
    page = visit("fail").page
    assert page.locator("script").count() == 0
    assert page.get_by_text("<script>alert(1)</script>.jpg", exact=True).count() >= 2
    assert page.get_by_text("{{ 7 * 7 }}{% raw %}.jpg", exact=True).count() >= 2
    assert (
        page.evaluate("document.querySelectorAll('[onerror], [onload], iframe, object, b > b').length") == 0
    )
    # Even a script that got in would not run: the page forbids it.
    page.evaluate(
        "() => { const s = document.createElement('script'); s.textContent = 'window.ran = 1';"
        " document.body.append(s); }"
    )
    assert page.evaluate("window.ran") is None


CONTRAST = """() => {
  const rgb = c => {
    const m = c.match(/[\\d.]+/g).map(Number);
    return m.length > 3 && m[3] === 0 ? null : m;
  };
  const linear = v => v <= 10.31 ? v / 255 / 12.92 : ((v / 255 + .055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => .2126 * linear(r) + .7152 * linear(g) + .0722 * linear(b);
  const ground = e => {
    for (; e; e = e.parentElement) {
      const c = rgb(getComputedStyle(e).backgroundColor);
      if (c) return c;
    }
    return [255, 255, 255];
  };
  const bad = [];
  for (const e of document.querySelectorAll('body *')) {
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())) continue;
    const style = getComputedStyle(e), svg = e instanceof SVGElement;
    const ink = rgb(svg ? style.fill : style.color), back = ground(svg ? e.closest('svg').parentElement : e);
    if (!ink || e.closest('style, title')) continue;
    const [a, b] = [light(ink), light(back)].sort((x, y) => y - x);
    const ratio = (a + .05) / (b + .05);
    if (ratio < 4.5) bad.push(e.textContent.trim().slice(0, 30) + ' ' + ratio.toFixed(2));
  }
  return bad;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("status", STATES)
def test_every_word_stands_out_from_its_ground(visit, status, scheme):
    """WCAG 2.2, success criterion 1.4.3: a contrast of at least 4.5 : 1, in both colour schemes."""
    page = visit(status, 1280, scheme).page
    assert page.evaluate(CONTRAST) == []
    page.add_style_tag(content=":root { --muted: #909090; --ground: #808080 }")
    assert len(page.evaluate(CONTRAST)) > 10, "the check itself finds nothing"


def test_the_keyboard_reaches_the_skip_link_first(visit):
    page = visit("undecided").page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the numbers"


def test_it_prints(visit):
    page = visit("fail").page
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible()
    assert not page.locator("details.raw").is_visible()
    # Paper does not scroll: at the width of A4 nothing may reach over the edge.
    page.set_viewport_size({"width": 718, "height": 1000})
    wide = "[...document.querySelectorAll('main *')].filter(e => e.getBoundingClientRect().right > 719)"
    assert page.evaluate(f"{wide}.map(e => e.outerHTML.slice(0, 150))") == []
    assert page.pdf(format="A4").startswith(b"%PDF")
