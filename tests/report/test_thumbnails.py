"""Thumbnails of the last page: the same pictures, made once, and nothing else from the file."""

from __future__ import annotations

import base64
import io
import json
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from genepool.dataset import thumbnail
from genepool.report._thumbnails import FILE, MOST, Kept
from genepool.store import Workspace


def photo(seed: int) -> bytes:
    out = io.BytesIO()
    Image.effect_mandelbrot((64, 48), (-2 - seed / 10, -1.5, 1, 1.5), 60).save(out, "PNG")
    return out.getvalue()


class Counted:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, data: bytes) -> bytes:
        self.calls += 1
        return thumbnail(data)


def page(root: Path, photos: list[bytes], how: str = "1") -> tuple[list[bytes], int]:
    made = Counted()
    place: Any = SimpleNamespace(workspace=Workspace(root))
    kept = Kept(place, made, how)
    pictures = [kept.of(data) for data in photos]
    kept.save()
    return pictures, made.calls


def test_only_new_images_are_made_and_the_pictures_are_the_same(tmp_path: Path) -> None:
    photos = [photo(i) for i in range(4)]
    fresh = [thumbnail(data) for data in photos]
    assert page(tmp_path, photos[:3]) == (fresh[:3], 3)
    assert page(tmp_path, photos) == (fresh, 1)
    before = (tmp_path / FILE).stat().st_mtime_ns
    assert page(tmp_path, photos) == (fresh, 0)
    assert (tmp_path / FILE).stat().st_mtime_ns == before  # nothing new, nothing written


def test_another_way_of_making_them_makes_them_anew(tmp_path: Path) -> None:
    page(tmp_path, [photo(1)])
    assert page(tmp_path, [photo(1)], how="2")[1] == 1


def test_what_does_not_decode_is_not_kept(tmp_path: Path) -> None:
    assert page(tmp_path, [b"no image"]) == ([b""], 1)
    assert json.loads((tmp_path / FILE).read_text()) == {}


@pytest.mark.parametrize("damage", ["flip", "swap", "script", "number", "list", "cut", "huge"])
def test_a_damaged_or_foreign_file_changes_no_picture(tmp_path: Path, damage: str) -> None:
    photos = [photo(i) for i in range(2)]
    fresh, _ = page(tmp_path, photos)
    path = tmp_path / FILE
    kept: Any = json.loads(path.read_text())
    one, two = kept
    if damage == "flip":
        kept[one] = kept[one][:-9] + ("A" if kept[one][-9] != "A" else "B") + kept[one][-8:]
    elif damage == "swap":
        kept[one], kept[two] = kept[two], kept[one]
    elif damage == "script":  # with a fitting digest: still no picture
        evil = b'"><script>alert(1)</script>'
        kept[one] = sha256(one.encode() + evil).hexdigest() + base64.b64encode(evil).decode()
    elif damage == "number":
        kept[one] = 5
    elif damage == "list":
        kept = [1]
    text = json.dumps(kept)
    path.write_text(text[:-20] if damage == "cut" else text + " " * (17 << 20) * (damage == "huge"))
    again, made = page(tmp_path, photos)
    assert again == fresh
    assert made >= 1
    assert page(tmp_path, photos) == (fresh, 0)  # and the file is whole again


def test_the_file_does_not_grow_without_end(tmp_path: Path) -> None:
    place: Any = SimpleNamespace(workspace=Workspace(tmp_path))
    small = thumbnail(photo(0))
    for start in (0, 300, 600):
        kept = Kept(place, lambda _: small, "1")
        for i in range(start, start + 300):
            kept.of(str(i).encode())
        kept.save()
    assert len(json.loads((tmp_path / FILE).read_text())) == MOST


def test_without_a_place_for_it_nothing_is_kept(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    blocked: Any = SimpleNamespace(workspace=SimpleNamespace(root=tmp_path / "file"))
    blocked.workspace.write_json = Workspace(tmp_path / "w").write_json
    (tmp_path / "w").write_text("in the way as well")
    for place in (SimpleNamespace(), blocked):
        kept = Kept(place, thumbnail, "1")  # type: ignore[arg-type]
        assert kept.of(photo(1)) == thumbnail(photo(1))
        kept.save()
