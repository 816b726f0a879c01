"""Files of a run: each written whole or not at all, so that an interrupted run goes on where it stopped."""

from __future__ import annotations

import hashlib
import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genepool.errors import UsageError, WorkspaceError

__all__ = ["Folder"]


class Folder:
    """The folder of a run.

    Args:
        root: Where; made when missing.
        config: What is run. A folder that holds a run of something else is refused.

    Raises:
        UsageError: The folder belongs to another run, or is not empty and holds no run.
        WorkspaceError: It cannot be written.
    """

    def __init__(self, root: Path, config: dict[str, Any]) -> None:
        self.root = root
        text = json.dumps(config, sort_keys=True, ensure_ascii=False)
        self.digest = hashlib.sha256(text.encode()).hexdigest()
        try:
            root.mkdir(parents=True, exist_ok=True)
            known = self.read("run.json")
            if known is None:
                if any(root.iterdir()):
                    raise UsageError(
                        f"{root}: expected an empty folder or a run of the lab, found other files"
                    )
                self.write("run.json", {"digest": self.digest, "config": config})
            elif known.get("digest") != self.digest:
                raise UsageError(
                    f"{root}: holds a run with other settings",
                    hint="give another folder with -o, or delete it",
                )
        except OSError as error:
            raise WorkspaceError(f"{root}: cannot be written: {error.strerror or error}") from None

    def path(self, name: str) -> Path:
        """A file's place; its folder is made."""
        place = self.root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        return place

    def write(self, name: str, data: Any, *, indent: int | None = 1) -> None:
        """JSON, atomically; ``indent`` None: as short as can be."""
        short = (",", ":") if indent is None else None
        text = json.dumps(data, indent=indent, separators=short, ensure_ascii=False, allow_nan=False)
        self.write_bytes(name, text.encode() + b"\n")

    def write_bytes(self, name: str, data: bytes) -> None:
        """Bytes, atomically."""
        place = self.path(name)
        part = place.with_name(place.name + ".part")
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(place)

    def read(self, name: str) -> Any:
        """JSON, or None where there is none; half a file was never written, so a damaged one is an error.

        Raises:
            WorkspaceError: It cannot be read.
        """
        place = self.root / name
        if not place.exists():
            return None
        try:
            return json.loads(place.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise WorkspaceError(f"{place}: damaged: {error}", hint=f"delete {place}") from None

    def write_arrays(self, name: str, **arrays: NDArray[Any]) -> None:
        """Arrays as compressed ``.npz``, atomically."""
        memory = io.BytesIO()
        np.savez_compressed(memory, allow_pickle=False, **arrays)
        self.write_bytes(name, memory.getvalue())

    def read_arrays(self, name: str) -> dict[str, NDArray[Any]] | None:
        """What `write_arrays` wrote, or None where there is none.

        Raises:
            WorkspaceError: It cannot be read.
        """
        place = self.root / name
        if not place.exists():
            return None
        try:
            with np.load(place, allow_pickle=False) as file:
                return {key: file[key] for key in file.files}
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise WorkspaceError(f"{place}: damaged: {error}", hint=f"delete {place}") from None

    def remove(self, name: str) -> None:
        """Delete a file that is no longer needed."""
        (self.root / name).unlink(missing_ok=True)
