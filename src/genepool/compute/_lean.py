"""What need not be loaded for a computation."""

from __future__ import annotations

import gc
import importlib.util
import sys

__all__ = ["lean"]

_NEW = 50_000
"""New objects after which the collector looks for cycles; 700, as Python has it, come often while loading."""


def lean(*, patient: bool = False) -> bool:
    """Keep pyarrow from loading pandas with its first array, which it does wherever pandas is installed.

    For processes of our own (a command, a worker), which hand pyarrow no pandas objects: loading pandas costs
    as much as reading several images. Nothing is lost: ``import pandas`` works as before, and pyarrow asks
    again as soon as something is to become a pandas object (``to_pandas``). Only pandas objects that are
    handed *to* pyarrow before that are read through the Arrow C interface instead of as what they are.

    Args:
        patient: Let the collector look for cycles less often as well, in a process that holds no pictures:
            what waits for it is small there.

    Returns:
        Whether pandas was left out; False where it is not installed, is already loaded, or pyarrow has asked
        before.
    """
    if patient:
        gc.set_threshold(_NEW, *gc.get_threshold()[1:])
    if "pandas" in sys.modules or importlib.util.find_spec("pandas") is None:
        return False
    hidden = _Hidden()
    sys.meta_path.insert(0, hidden)  # an import of it fails now, which pyarrow remembers
    try:
        import pyarrow as pa

        pa.array([0])
    finally:
        sys.meta_path.remove(hidden)
    return "pandas" not in sys.modules


class _Hidden:
    """A finder that finds one package missing."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError("pandas is hidden while pyarrow makes its first array", name=name)
