"""What a workspace in an object store holds: one numbered object that names every file of one moment.

``manifests/<number>`` is only ever created, never replaced: two writers cannot both publish number n + 1.
Parts lie at their own names, since they are never changed; every other file lies at ``files/<SHA-256>``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from genepool.errors import WorkspaceError

__all__ = ["SCHEMA", "FileEntry", "Manifest", "is_kept"]

SCHEMA = "genepool.remote/1"
PARTS = "catalogue/parts/"
_SAFE = re.compile(r"[^/\0\\]+(/[^/\0\\]+)*")
_LOCAL = frozenset({"lock", "reviews.sqlite-wal", "reviews.sqlite-shm"})
_FOLDERS = ("ledger/", "aside/")
"""The log lies in the store as it is; what was found damaged here concerns nobody else."""


class FileEntry(NamedTuple):
    """A file: SHA-256 (hex; empty for parts, whose pages carry checksums), bytes, time of change."""

    sha256: str
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """The files of a workspace, relative path → entry, as published under a number (0: nothing yet)."""

    version: int = 0
    files: Mapping[str, FileEntry] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "schema": SCHEMA,
            "version": self.version,
            "files": {name: list(entry) for name, entry in sorted(self.files.items())},
        }

    @classmethod
    def from_json(cls, data: Any, where: str) -> Manifest:
        """Inverse of `to_json`.

        Raises:
            WorkspaceError: Something else, a newer genepool's, or a name that leaves the workspace.
        """
        if not isinstance(data, dict) or data.get("schema") != SCHEMA:
            found = data.get("schema") if isinstance(data, dict) else type(data).__name__
            raise WorkspaceError(
                f"{where}: expected a manifest of format {SCHEMA}, found {found!r}",
                hint="a newer genepool wrote it: upgrade, or set --workspace",
            )
        try:
            files = {
                str(name): FileEntry(str(sha), int(size), int(mtime))
                for name, (sha, size, mtime) in data["files"].items()
            }
            found = cls(int(data["version"]), files)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise WorkspaceError(f"{where}: expected a manifest, found something else: {error!r}") from None
        for name, entry in files.items():
            # The store may be a stranger's: no name of his may reach outside the copy that is made of it.
            if not is_kept(name) or not re.fullmatch(r"[0-9a-f]{64}|", entry.sha256) or entry.size < 0:
                raise WorkspaceError(f"{where}: expected files of a workspace, found {name[:100]!r}")
            if not entry.sha256 and not name.startswith(PARTS):
                raise WorkspaceError(f"{where}: expected a digest for {name[:100]!r}, found none")
        return found


def is_kept(name: str) -> bool:
    """Whether a file of a workspace, by its relative path, is published: no locks, leftovers or secrets."""
    pieces = name.split("/")
    return (
        _SAFE.fullmatch(name) is not None
        and not any(piece.startswith(".") for piece in pieces)
        and name not in _LOCAL
        and not name.startswith(_FOLDERS)
        and not name.endswith((".tmp", ".partial", ".secret"))
    )
