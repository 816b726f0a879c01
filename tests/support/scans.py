"""Small sets of pictures, and scans of them without the installed probes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage import data as pictures

from genepool import dataset
from genepool.config import Config
from genepool.engine import LocalEngine
from genepool.scan import scan
from genepool.store import Catalogue


def picture(number: int, size: int = 96) -> Image.Image:
    """A crop of a real photograph, another one for each number."""
    source = pictures.astronaut() if number % 2 else pictures.chelsea()
    height, width = source.shape[:2]
    rng = np.random.default_rng(number)
    y, x = rng.integers(0, height - size), rng.integers(0, width - size)
    return Image.fromarray(source[y : y + size, x : x + size])


def encoded(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    """The bytes of a picture in some format."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def fill(folder: Path, count: int, *, size: int = 96, names: str = "{:03}.jpg") -> Path:
    """``count`` JPEG files in a folder, half of them in a sub-folder."""
    (folder / "sub").mkdir(parents=True, exist_ok=True)
    for i in range(count):
        place = folder / "sub" if i % 2 else folder
        (place / names.format(i)).write_bytes(encoded(picture(i, size), quality=90))
    return folder


def use_probes(monkeypatch: pytest.MonkeyPatch, *probes: Any) -> None:
    """Let scans run these probes instead of the installed ones."""
    monkeypatch.setattr("genepool.scan._scan.load_probes", lambda config: list(probes))


def scanned(
    folder: Path, workspace: Path, *, workers: int = 0, select: Sequence[str] | None = None, **options: Any
) -> Catalogue:
    """Scan a folder, in this process unless workers are asked for."""
    engine = (
        LocalEngine(workers, timeout=options.pop("timeout", 60.0)) if workers else LocalEngine(inline=True)
    )
    opened = dataset.open(str(folder), workspace=str(workspace))
    if select is not None:
        opened = opened.select(select)
    return scan(opened, config=options.pop("config", Config()), engine=engine, **options)


def rows(catalogue: Catalogue) -> list[dict[str, Any]]:
    """Rows without what depends on where and when a file was written."""
    return catalogue.table([c for c in catalogue.columns if c != "stamp"]).to_pylist()
