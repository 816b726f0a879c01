"""Small picture files, made on the spot."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

Painter = Callable[..., bytes]


@pytest.fixture
def paint() -> Painter:
    """``paint(seed, format)``: the bytes of a small picture; other seeds give other bytes."""

    def make(seed: int = 0, form: str = "JPEG", **options: object) -> bytes:
        image = (
            Image.linear_gradient("L").resize((24, 16)).convert("RGB").point(lambda v: (v + 37 * seed) % 256)
        )
        buffer = io.BytesIO()
        image.save(buffer, form, **options)
        return buffer.getvalue()

    return make


@pytest.fixture
def gallery(tmp_path: Path, paint: Painter) -> Path:
    """Seven pictures in every listed format with captions and claims of every kind."""
    root = tmp_path / "gallery"
    (root / "inner" / "deep").mkdir(parents=True)
    (root / "a.jpg").write_bytes(paint(1))
    (root / "a.txt").write_text("a caption\n")
    (root / "b.PNG").write_bytes(paint(2, "PNG"))
    (root / "b.json").write_text('{"url": "x", "prompt": "second", "text": "first"}')
    (root / "c.webp").write_bytes(paint(3, "WEBP"))
    (root / "c.webp.genepool.json").write_text(
        '{"origin": "captured", "artist": "Ada", "caption": "claimed"}'
    )
    (root / "c.txt").write_text("not this one")
    (root / "inner" / "d.avif").write_bytes(paint(4, "AVIF"))
    (root / "inner" / "e.tiff").write_bytes(paint(5, "TIFF"))
    (root / "inner" / "deep" / "f.gif").write_bytes(paint(6, "GIF"))
    (root / "inner.jpeg").write_bytes(paint(7))
    (root / "genepool.jsonl").write_text(
        '{"file": "inner/deep/f.gif", "origin": "synthetic", "model": "m1", "generation": [1, null]}\n'
        '{"file": "inner/e.tiff", "style": "ink"}\n'
    )
    (root / "inner" / "genepool.jsonl").write_text('{"file": "deep/f.gif", "model": "m2"}\n')
    return root
