"""Galleries for the promise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from support.galleries import computed, crops, write


@pytest.fixture
def gallery(tmp_path: Path, photos: dict) -> Callable[[int, int], Path]:
    """A folder with ``human/`` and ``other/`` pictures, made on demand."""

    def make(human: int, other: int, name: str = "set") -> Path:
        root = tmp_path / name
        write(root / "human", crops(photos, human, seed=1), "h")
        if other:
            write(root / "other", computed(other, seed=2), "o")
        return root

    return make
