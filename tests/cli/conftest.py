"""Run the command line in this process and see what a shell would see."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from genepool.cli import main
from support.galleries import computed, crops, write


class Result(NamedTuple):
    """Exit code and both streams."""

    code: int
    out: str
    err: str


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """``run("check", path)`` → exit code, stdout, stderr."""

    def call(*args: object) -> Result:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(a) for a in args])
        streams = capsys.readouterr()
        return Result(int(ended.value.code or 0), streams.out, streams.err)

    return call


@pytest.fixture
def gallery(tmp_path: Path, photos: dict) -> Path:
    """120 real photographs in ``human/``, 12 computed pictures in ``other/``."""
    root = tmp_path / "set"
    write(root / "human", crops(photos, 120, seed=1), "h")
    write(root / "other", computed(12, seed=2), "o")
    return root
