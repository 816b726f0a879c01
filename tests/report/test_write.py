"""The page: complete, deterministic, capped, and never broken by what it shows."""

from __future__ import annotations

import dataclasses
import html
import itertools
import re
from html.parser import HTMLParser

import numpy as np
import pyarrow as pa
import pytest

from genepool.dataset import thumbnail
from genepool.errors import WorkspaceError
from genepool.records import Case, Decision, Failure, Measure
from genepool.report import write
from genepool.report._gallery import SIDE, data_uri
from support import reports

SECTIONS = (
    *("verdict", "numbers", "next", "origins", "slices", "pedigree", "detector", "diversity", "degradation"),
    *("duplicates", "set-aside", "rights", "review", "costs", "about"),
)
VOID = {"meta", "link", "img", "br", "path", "rect", "circle", "line", "use", "image", "input", "hr"}


class Outline(HTMLParser):
    """Tags in order, headings, ids, and whether every element is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def values(self, name: str) -> list[str]:
        return [value for _, attribute, value in self.attributes if attribute == name]


def page(tmp_path, status="fail", **changes) -> str:
    held = reports.catalogue(120, names=reports.HOSTILE)
    decision = dataclasses.replace(reports.decision(status, held), **changes)
    path = tmp_path / "report.html"
    assert write(decision, held, reports.origins(held), path) == path.stat().st_size
    return path.read_text("utf-8")


@pytest.mark.parametrize("status", ["pass", "fail", "undecided"])
def test_the_page_is_whole_and_says_the_verdict(tmp_path, status):
    text = page(tmp_path, status)
    outline = Outline(text)
    assert outline.open == []
    assert f'<h1 id="verdict">{status.upper()}</h1>' in text
    levels = [int(tag[1]) for tag in outline.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))
    ids = outline.values("id")
    assert len(ids) == len(set(ids))
    assert [i for i in ids if i in SECTIONS] == list(SECTIONS)
    targets = [v[1:] for t, n, v in outline.attributes if (t, n) == ("a", "href")]
    assert targets
    assert set(targets) <= set(ids)
    assert "main" in outline.tags
    assert "nav" in outline.tags


def test_the_page_asks_nobody_and_runs_nothing(tmp_path):
    text = page(tmp_path)
    outline = Outline(text)
    assert "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\"" in text
    assert "script" not in outline.tags
    assert [n for _, n, _ in outline.attributes if n.startswith("on")] == []
    for name in ("src", "href", "xlink:href", "action", "srcset"):
        for value in outline.values(name):
            assert value.startswith(("data:", "#")), (name, value)
    assert "@import" not in text
    assert re.findall(r"url\((?!#)", text) == []


def test_hostile_names_are_text(tmp_path):
    text = page(tmp_path)
    for raw in ("<script>alert", "<img src=x", "<b>bold", "<i>ukiyo-e", "\u202e", "\x1b"):
        assert raw not in text
    for shown in (
        "<script>alert(1)</script>.jpg",
        "{{ 7 * 7 }}{% raw %}.jpg",
        "holiday\\u202egpj.exe",
        "$x^2$ &",
    ):
        assert html.escape(shown, quote=False) in text.replace("&#34;", '"').replace("&#39;", "'")


def test_equal_input_gives_equal_bytes(tmp_path):
    assert page(tmp_path) == page(tmp_path)


def test_numbers_carry_interval_floor_and_word(tmp_path):
    text = page(tmp_path)
    assert "<strong>0.61</strong>" in text
    assert "[0.55, 0.66]" in text
    assert "floor 0.70" in text
    assert "below the floor" in text
    assert "above the ceiling" in text
    label = "Human-made share 0.61, interval [0.55, 0.66], floor 0.70: below the floor"
    assert f'aria-label="{label}"' in text


def test_next_commands_are_copied_out_of_the_hints(tmp_path):
    text = html.unescape(page(tmp_path))
    assert "<code>genepool register human FOLDER --workspace '/data/my set.genepool'</code>" in text
    assert "<code>genepool export '/data/my set' -o OUT</code>" in text
    assert "Leave out at least 24 of the images known to be AI, or add human work." in text
    # A hint without a command gets those of the rule's explanation, with the dataset's own path.
    assert "<code>genepool check '/data/my set'</code>" in text
    assert "<code>genepool explain GP401</code>" in text
    assert "<code>genepool export '/data/my set' -o OUT</code>" in html.unescape(page(tmp_path, "pass"))


def test_two_commands_in_one_hint(tmp_path):
    hint = (
        "say what their model was trained on: genepool register model NAME --trained-on …, "
        "then genepool register outputs FOLDER --model NAME"
    )
    text = page(tmp_path, failures=(Failure("GP402", "undecided", "1 image", hint),))
    assert "<code>genepool register model NAME --trained-on …</code>" in text
    assert "<code>genepool register outputs FOLDER --model NAME</code>" in text
    assert "Say what their model was trained on." in text


def test_every_optional_part_may_be_missing(tmp_path):
    path = tmp_path / "deep" / "report.html"
    write(Decision("undecided", "memory:1", 0, "", {}), None, None, path)
    text = path.read_text("utf-8")
    assert Outline(text).open == []
    assert "UNDECIDED" in text
    assert "Nothing was measured." in text
    lines = re.findall(r'<p class="fill">.*?</p>', text)
    assert len(lines) == 13
    assert all(
        "<code>genepool " in line
        for line in lines
        if "No image repeats" not in line and "Nothing was set" not in line
    )


def test_a_measure_that_was_not_made(tmp_path):
    nothing = Measure(
        "diversity", "diversity", None, None, None, 3, "not measured", 0.6, "floor", None, "3 images"
    )
    odd = Measure("x", "<x>", float("nan"), None, float("inf"), 0, "", None, "", None)
    text = page(tmp_path, measures={"diversity": nothing, "x": odd})
    assert "<strong>not measured</strong>" in text
    assert "&lt;x&gt;" in text


def test_odd_extras_do_not_break_the_page(tmp_path):
    text = page(
        tmp_path,
        extra={
            "origins": {"": 3, "<svg>": 2},
            "classes": [1, 2],
            "generations": {str(i): 1 for i in range(40)},
            "slices": "none",
            "detector": "none",
            "ledger": {"root": "\ud800", "nested": {"a": [1, "<b>"]}},
            "tolerated": [{"code": "GP303", "message": "<old>"}],
        },
    )
    assert Outline(text).open == []
    assert "<old>" not in text


def test_at_most_two_hundred_thumbnails_and_every_cap_is_printed(tmp_path):
    held = reports.catalogue(700)
    toxic = tuple(Case(u, "generation", "m", "GP401") for u in held.uris)
    twin = tuple(Case(u, "duplicate", "repeats x", "GP303") for u in held.uris[:300])
    aside = tuple(Case(f"x{i}", "truncated", "<" * 500) for i in range(400))
    decision = dataclasses.replace(
        reports.decision("fail", held),
        failures=(Failure("GP401", "fail", "m", "h", toxic), Failure("GP303", "fail", "m", "h", twin)),
        set_aside=aside,
    )
    path = tmp_path / "r.html"
    size = write(decision, held, reports.origins(held), path)
    text = path.read_text("utf-8")
    assert size < 2_000_000
    assert 150 < text.count("data:image/webp") <= 200
    assert len(held.read_log) == len(set(held.read_log)) <= 200
    assert "48 of 700 shown; all of them: cases.parquet" in text
    assert "48 of 300 shown; all of them: cases.parquet" in text
    assert "150 of 400 shown; all of them: cases.parquet" in text


def test_the_size_holds_against_grain_and_markup(tmp_path, monkeypatch):
    """Thumbnails that hardly compress, names that triple when escaped: pictures are dropped, not words."""
    held = reports.catalogue(400, names=[f"{'<&' * 100}{i}" for i in range(390)])
    rng = np.random.default_rng(0)

    def grain(seed: int) -> bytes:
        import io

        from PIL import Image

        out = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (96, 96, 3), np.uint8)).save(out, "PNG")
        return out.getvalue()

    monkeypatch.setattr(reports, "picture", grain)
    path = tmp_path / "r.html"
    size = write(reports.decision("fail", held, cases=5000), held, reports.origins(held), path)
    assert size <= 2_000_000
    assert "48 of 5,000 shown" in path.read_text("utf-8")


def test_style_map_survives_missing_and_broken_vectors(tmp_path):
    path = tmp_path / "r.html"
    for style in (None, np.full((120, 24), np.nan, np.float32), np.ones((120, 24), np.float32)):
        held = reports.catalogue(120)
        held.style = style
        write(reports.decision("pass", held), held, reports.origins(held), path)
        drawn = style is not None and bool(np.isfinite(style).all())
        assert ("Style map of" in path.read_text("utf-8")) == drawn


def test_a_page_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkspaceError, match="cannot be written") as caught:
        write(Decision("pass", "x", 1, "", {}), None, None, tmp_path / "file" / "report.html")
    assert "-o FILE" in caught.value.hint


def test_unsure_images_nearest_to_even_odds_come_first(tmp_path):
    held = reports.catalogue(60)
    table = reports.origins(held, disputed=0)
    unknown = [i for i, s in enumerate(table["status"].to_pylist()) if s == "unknown"]
    p = table["p_human"].to_pylist()
    path = tmp_path / "r.html"
    write(reports.decision("undecided", held), held, table, path)
    text = path.read_text("utf-8")
    part = text[text.index("Least sure") :]
    shown = re.findall(r"<figcaption><bdi>([^<]+)</bdi>", part)
    by_gap = sorted(unknown, key=lambda i: (round(abs(p[i] - 0.5), 6), i))
    assert shown[: len(unknown)] == [held.uris[i] for i in by_gap]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16", "I", "F", "YCbCr"])
def test_every_colour_mode_has_a_thumbnail(mode):
    import io

    from PIL import Image

    base = Image.fromarray(np.linspace(0, 255, 120 * 80, dtype=np.uint8).reshape(80, 120))
    image = (
        Image.fromarray(np.asarray(base).astype(np.uint16) * 200) if mode == "I;16" else base.convert(mode)
    )
    out = io.BytesIO()
    image.save(out, "TIFF")
    assert data_uri(thumbnail(out.getvalue(), SIDE)).startswith("data:image/webp;base64,")


@pytest.mark.parametrize(
    "data", [b"", b"not an image", reports.picture(1)[:400], b"\x89PNG\r\n\x1a\n" + b"\0" * 50]
)
def test_what_does_not_decode_has_no_thumbnail(data):
    assert data_uri(thumbnail(data, SIDE)) == ""


def test_a_bomb_is_not_decoded():
    import struct
    import zlib

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    assert (
        thumbnail(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b""))
        == b""
    )


def test_origins_of_another_length_do_not_mislabel_the_map(tmp_path):
    held = reports.catalogue(60)
    path = tmp_path / "r.html"
    write(reports.decision("pass", held), held, reports.origins(reports.catalogue(30)), path)
    assert "Style map of all images: 60 unknown." in path.read_text("utf-8")
    write(reports.decision("pass", held), held, pa.table({"uri": ["a"]}), path)
