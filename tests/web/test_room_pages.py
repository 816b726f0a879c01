"""The room in a real browser: a whole sitting by keyboard, on a phone, quickly, without a serious fault."""

from __future__ import annotations

import shutil
import statistics

import pytest

from genepool.store import ReviewRecord, Workspace
from support.rooms import gallery, opened, served

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as player:
        held = player.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        yield held
        held.close()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("pages")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENEPOOL_HOME", str(root / "home"))
        folder = gallery(root / "set", root / "ws", known=8, unknown=110)
        users = ["test:keys", "test:phone", "test:axe", "test:pairs", "test:fast"]
        with served(opened(folder, root / "ws", log_every=0.5), users) as serving:
            yield serving, Workspace(root / "ws")


@pytest.fixture
def visit(browser, place):
    contexts = []

    def call(user: str, **options):
        context = browser.new_context(**({"viewport": {"width": 1280, "height": 800}} | options))
        contexts.append(context)
        page = context.new_page()
        page.problems = []
        page.requests = []
        page.on("console", lambda message: page.problems.append(message.text))
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        page.on("request", lambda request: page.requests.append(request.url))
        page.goto(place[0].links[user])
        if options.get("has_touch"):
            page.tap("button.primary")
        else:
            page.wait_for_selector("button.primary:focus")
            page.keyboard.press("Enter")
        page.wait_for_url("**/")
        return page

    yield call
    for context in contexts:
        context.close()


def shown(page) -> str:
    page.wait_for_selector("body[data-shown]")
    return page.get_attribute("body", "data-shown")


def decide(page, key: str) -> None:
    before = shown(page)
    page.keyboard.press(key)
    page.wait_for_selector(f'body[data-shown]:not([data-shown="{before}"])')


def mine(space: Workspace, user: str):
    with ReviewRecord(space) as record:
        return sorted((v for v in record.all() if v.reviewer == user), key=lambda v: v.sequence)


def saved(page) -> None:
    page.wait_for_selector('body[data-unsaved="0"]')


def test_a_whole_sitting_by_keyboard(visit, place):
    serving, space = place
    page = visit("test:keys")
    page.wait_for_selector("a.primary:focus")
    page.keyboard.press("Enter")
    page.wait_for_url("**/decide")
    for key in "haau":
        decide(page, key)
    page.keyboard.press("n")
    assert page.get_attribute('[data-do="uncanny"]', "aria-pressed") == "true"
    page.keyboard.press("c")
    page.keyboard.type("six fingers: h a u")
    page.keyboard.press("Control+Enter")
    decide(page, "a")
    saved(page)
    given = mine(space, "test:keys")
    assert [v.answer for v in given] == ["human", "ai", "ai", "unsure", "ai"]
    assert [v.sequence for v in given] == [0, 1, 2, 3, 4]
    assert (given[-1].uncanny, given[-1].comment) == (True, "six fingers: h a u")
    assert not any(v.uncanny for v in given[:-1])
    assert all(v.seconds and 0 < v.seconds < 60 for v in given)
    # Looking: loupe, pan, flip, equalise; escape leaves the loupe, not the page.
    frame = "#frame img"
    page.keyboard.press("Space")
    assert "scale(1)" not in page.locator(frame).get_attribute("style")
    before = page.locator(frame).get_attribute("style")
    page.keyboard.press("ArrowLeft")
    assert page.locator(frame).get_attribute("style") != before
    page.keyboard.press("f")
    assert "scale(-" in page.locator(frame).get_attribute("style")
    page.keyboard.press("e")
    assert page.locator("#frame canvas").count() == 1
    page.keyboard.press("e")
    assert page.locator("#frame canvas").count() == 0
    page.keyboard.press("Escape")
    assert page.url.endswith("/decide")
    assert len(mine(space, "test:keys")) == 5
    # Undo: the last image again, and a second verdict that takes the first one back.
    token = shown(page)
    page.keyboard.press("z")
    page.wait_for_selector(f'body[data-shown="{given[-1].token}"]')
    page.keyboard.press("h")
    page.wait_for_selector(f'body[data-shown="{token}"]')
    saved(page)
    last = mine(space, "test:keys")[-1]
    assert (last.token, last.answer, last.undo, last.changed) == (given[-1].token, "human", True, False)
    # Evidence only now; a mind changed after it is flagged, and kept beside the blind verdict.
    page.keyboard.press("v")
    page.wait_for_selector("#evidence[open]")
    assert "p(human)" in page.inner_text("#facts") or "file" in page.inner_text("#facts")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    saved(page)
    changed = mine(space, "test:keys")[-1]
    assert (changed.answer, changed.changed, changed.undo) == ("ai", True, False)
    page.keyboard.press("?")
    page.wait_for_selector("#help[open]")
    page.keyboard.press("h")  # typed in a dialog: no decision
    page.keyboard.press("Escape")
    assert len(mine(space, "test:keys")) == 7
    page.keyboard.press("Escape")
    page.wait_for_url("**/")
    assert page.problems == []
    assert {url.split("/")[2] for url in page.requests} == {serving.url.removeprefix("http://")}


def test_on_a_phone_with_a_thumb(visit, place):
    page = visit("test:phone", viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    base = place[0].url
    for path in ("/", "/board", "/compare", "/decide"):
        page.goto(base + path)
        assert page.evaluate("document.documentElement.scrollWidth") == 390, path
    first = shown(page)
    for button in page.locator(".controls button:visible, .controls a:visible").all():
        box = button.bounding_box()
        assert box["height"] >= 44
        assert box["y"] + box["height"] <= 844
    assert page.locator("#frame").bounding_box()["height"] > 400
    page.tap('[data-answer="ai"]')
    page.wait_for_selector(f'body[data-shown]:not([data-shown="{first}"])')
    page.tap('[data-do="loupe"]')
    page.tap('[data-do="left"]')
    assert "scale(1)" not in page.locator("#frame img").get_attribute("style")
    saved(page)
    assert [v.answer for v in mine(place[1], "test:phone")] == ["ai"]
    assert page.problems == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_accessibility_fault(visit, place, scheme):
    from axe_playwright_python.sync_playwright import Axe

    page = visit("test:axe", color_scheme=scheme)
    found = {}
    for path in ("/", "/board", "/decide", "/compare", "/enter?key=wrong"):
        page.goto(place[0].url + path)
        if path in ("/decide", "/compare"):
            shown(page)
        # The page's own policy forbids strangers' scripts; the checker is run in the page all the same.
        violations = Axe().run(page).response["violations"]
        serious = [v["id"] for v in violations if v["impact"] in ("serious", "critical")]
        if serious:
            found[path] = serious
        if path == "/decide":
            decide(page, "u")
            saved(page)
            page.keyboard.press("v")
            page.wait_for_selector("#evidence[open]")
            more = Axe().run(page).response["violations"]
            found |= {"evidence": [v["id"] for v in more if v["impact"] in ("serious", "critical")]}
            found = {k: v for k, v in found.items() if v}
    assert found == {}


def test_pairs_are_compared_by_arrow(visit, place):
    page = visit("test:pairs")
    page.goto(place[0].url + "/compare")
    for key in ("ArrowLeft", "ArrowRight", "ArrowDown", "ArrowUp"):
        decide(page, key)
    page.keyboard.press("Space")
    styles = [page.locator(f"#frame-{side} img").get_attribute("style") for side in "ab"]
    assert styles[0] == styles[1]  # one zoom for both
    assert "scale(1)" not in styles[0]
    saved(page)
    with ReviewRecord(place[1]) as record:
        votes = [v for v in record.votes() if v.reviewer == "test:pairs"]
    # Answers travel side by side and may be kept in another order than they were given.
    assert sorted(v.outcome for v in votes) == ["a", "b", "both_bad", "tie"]
    for _ in range(60):
        page.goto(place[0].url + "/board")
        if "Worked out at the moment" not in page.inner_text("main"):
            break
        page.wait_for_timeout(500)
    assert "Needs people" in page.inner_text("main")  # a program's votes never make a score


def test_the_next_image_is_there_at_once(visit, place):
    page = visit("test:fast")
    page.goto(place[0].url + "/decide")
    shown(page)
    page.evaluate(
        """() => {
            window.taken = [];
            let pressed = 0;
            addEventListener("keydown", (event) => { pressed = event.timeStamp; }, true);
            new MutationObserver(() => requestAnimationFrame(() => {
                const channel = new MessageChannel();
                channel.port1.onmessage = () => pressed && window.taken.push(performance.now() - pressed);
                channel.port2.postMessage(0);
            })).observe(document.body, {attributes: true, attributeFilter: ["data-shown"]});
        }"""
    )
    for _ in range(25):
        page.wait_for_timeout(60)
        decide(page, "u")
    saved(page)
    taken = page.evaluate("window.taken")
    assert len(taken) == 25
    assert statistics.median(taken) < 60
    assert len(mine(place[1], "test:fast")) == 25
