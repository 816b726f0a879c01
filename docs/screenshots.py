"""Take the pictures of the documentation: the report of the demo's first check, in a real Chromium.

    python docs/screenshots.py                # makes the demo in a temporary folder (about half a minute)
    python docs/screenshots.py --demo DIR     # of a demo that was made before: DIR/demo, DIR/demo.genepool

Needs playwright and a Chromium on the path. The folder that the demo lies in is taken out of the page, so
that its commands read as they are typed there; nothing else is changed.
"""

from __future__ import annotations

import argparse
import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

IMAGES = Path(__file__).parent / "images"
GAP = 24
COLOURS = 256


class Shot(NamedTuple):
    """A picture: its name, the window, and the part of the page (empty: the top of it)."""

    name: str
    width: int
    height: int
    scheme: str = "light"
    section: str = ""


SHOTS = (
    Shot("report.png", 1280, 1000),
    Shot("report-dark.png", 1280, 1000, "dark"),
    Shot("report-phone.png", 390, 844, "dark"),
    Shot("report-origins.png", 1280, 1100, section="origins"),
    Shot("report-pedigree.png", 1280, 1180, section="pedigree"),
    Shot("report-detector.png", 1280, 900, section="detector"),
    Shot("report-diversity.png", 1280, 1050, section="diversity"),
    Shot("report-duplicates.png", 1280, 760, section="duplicates"),
)


def main() -> None:
    """Take every picture, and say how large it is."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--demo", type=Path, help="folder that holds demo and demo.genepool")
    given = parser.parse_args().demo
    with tempfile.TemporaryDirectory(prefix="genepool-") as made:
        folder = (given or Path(made)).resolve()
        if given is None:
            command = [sys.executable, "-m", "genepool", "demo", str(folder / "demo")]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        page = Path(made) / "report.html"
        text = (folder / "demo.genepool" / "report.html").read_text("utf-8")
        page.write_text(text.replace(f"{folder}/", ""), "utf-8")
        take(page)


def take(file: Path) -> None:
    """All pictures of one report."""
    from playwright.sync_api import sync_playwright

    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    IMAGES.mkdir(exist_ok=True)
    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        for shot in SHOTS:
            size: Any = {"width": shot.width, "height": shot.height}
            page = browser.new_page(viewport=size, color_scheme=shot.scheme)  # type: ignore[arg-type]
            page.goto(file.as_uri())
            clip: Any = {"x": 0, "y": 0, **size}
            if shot.section:
                box = page.locator(f"section[aria-labelledby={shot.section}]").bounding_box()
                assert box is not None  # every section is always there
                clip |= {"y": box["y"] + GAP / 2, "height": min(shot.height, box["height"] + GAP / 2)}
            data = page.screenshot(clip=clip, full_page=True)
            target = IMAGES / shot.name
            target.write_bytes(smaller(data))
            print(f"{target.name}: {target.stat().st_size / 1000:,.0f} kB")
            page.close()
        browser.close()


def smaller(data: bytes) -> bytes:
    """The picture with few colours: text and flat fields lose nothing."""
    from PIL import Image

    out = io.BytesIO()
    image = Image.open(io.BytesIO(data)).convert("RGB")
    image.quantize(COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(
        out, "PNG", optimize=True
    )
    return out.getvalue()


if __name__ == "__main__":
    main()
