"""The pages become a site: strictly, offline, with links that hold and nothing fetched from elsewhere."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from support.pages import ROOT

# What a browser fetches by itself when it shows a page.
FETCHED = {
    "script": ("src",),
    "img": ("src", "srcset"),
    "source": ("src", "srcset"),
    "iframe": ("src",),
    "video": ("src", "poster"),
    "audio": ("src",),
    "object": ("data",),
    "embed": ("src",),
}
AXE = {
    "index.html",
    "start/first-five-minutes.html",
    "rules.html",
    "formats.html",
    "comparison.html",
    "reference/python.html",
}
LOADED = {"stylesheet", "icon", "preload", "prefetch", "preconnect", "dns-prefetch", "modulepreload"}


class Page(HTMLParser):
    """Links, ids and fetched addresses of one page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.fetched: list[str] = []
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        have = {name: value or "" for name, value in attrs}
        self.ids |= {have[key] for key in ("id", "name") if have.get(key)}
        if tag == "a" and "href" in have:
            self.links.append(have["href"])
        self.fetched += [have[key] for key in FETCHED.get(tag, ()) if have.get(key)]
        if tag == "link" and LOADED & set(have.get("rel", "").split()):
            self.fetched.append(have.get("href", ""))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built strictly: a warning (a broken link, a page that no menu names) is an error."""
    out = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(out)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "http_proxy": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    told = [line for line in done.stderr.splitlines() if not line.startswith("INFO")]
    assert done.returncode == 0, "\n".join(told)
    return out


@pytest.fixture(scope="module")
def made(site: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in site.rglob("*.html")}


def test_every_link_inside_the_site_holds(made, site):
    broken = []
    for path, page in made.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or path.name == "404.html":
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.is_file():
                broken.append(f"{path.relative_to(site)}: {link}")
            elif parts.fragment and target in made and unquote(parts.fragment) not in made[target].ids:
                broken.append(f"{path.relative_to(site)}: {link} (no such heading)")
    assert not broken, "\n".join(broken)


def test_nothing_is_fetched_from_elsewhere(made, site):
    foreign = {
        f"{path.relative_to(site)}: {address}"
        for path, page in made.items()
        for address in page.fetched
        if urlsplit(address).scheme not in ("", "data") or address.startswith("//")
    }
    assert not foreign
    for sheet in site.rglob("*.css"):
        text = sheet.read_text("utf-8")
        assert not re.search(r"(@import|url\()\s*['\"]?(https?:)?//", text), sheet


def test_every_page_is_in_the_menu_and_has_a_title(made):
    for path, page in made.items():
        assert page.links, path
        assert re.search(r"<title>[^<]+</title>", path.read_text("utf-8")), path


def test_links_of_the_readme_hold():
    from markdown_it import MarkdownIt

    for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"):
        if not (ROOT / name).is_file():
            continue
        for token in MarkdownIt("commonmark").enable("table").parse((ROOT / name).read_text("utf-8")):
            for child in token.children or []:
                for key in ("href", "src"):
                    address = str(child.attrs.get(key, ""))
                    if address and not urlsplit(address).scheme and not address.startswith("#"):
                        assert (ROOT / unquote(urlsplit(address).path)).exists(), f"{name}: {address}"


@pytest.mark.soak
@pytest.mark.browser
@pytest.mark.parametrize(
    ("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]
)
def test_pages_in_a_browser(site, made, width, scheme):
    """No request leaves the folder, no page is wider than the window, no serious fault of accessibility."""
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import sync_playwright

    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        for path in sorted(made):
            page.goto(path.as_uri())
            wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            assert wide <= 0, f"{path.relative_to(site)} is {wide} pixels too wide at {width}"
            if path.relative_to(site).as_posix() in AXE:
                found = Axe().run(page).response["violations"]
                faults = [v["id"] for v in found if v["impact"] in ("serious", "critical")]
                assert not faults, f"{path.relative_to(site)}: {faults}"
        browser.close()
    assert [a for a in asked if not a.startswith("file:")] == []
