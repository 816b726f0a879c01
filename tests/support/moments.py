"""A process that kills itself with signal 9 at the n-th change it makes to the files of a folder."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any


def environment(**more: str) -> dict[str, str]:
    """The environment of a program that imports what the tests import."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path]), **more}


def die_at(root: Path, moment: int) -> bool:
    """From now on, end as by ``kill -9`` when Python renames, removes or opens for writing the n-th file.

    Returns:
        True, so that it can stand in a condition.
    """
    prefix = str(root)
    count = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        if event == "open":
            path, _, flags = arguments
            if not isinstance(path, str) or not flags & (os.O_WRONLY | os.O_RDWR):
                return
        elif event in ("os.rename", "os.remove"):
            path = arguments[0]
        else:
            return
        if str(path).startswith(prefix):
            count += 1
            if count == moment:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    return True
