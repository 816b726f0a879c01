"""Which log a ``ledger`` verb is about, and what it says of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genepool.errors import UsageError

if TYPE_CHECKING:
    from genepool.config import Config
    from genepool.provenance import Ledger, Trust

__all__ = ["digest_of", "head_facts", "nearby_workspace", "open_ledger", "trust_of"]


def open_ledger(workspace: str | None, config: Config) -> Ledger:
    """The log of a workspace: the one named, the nearest to the current folder, or the only one in it.

    A URL names the log itself, or the workspace that it lies in.
    """
    from genepool import provenance, store
    from genepool.errors import WorkspaceError

    verifiers = trust_of(config).verifiers
    if workspace and "://" in workspace:
        try:
            return provenance.Ledger.open(workspace, verifiers=verifiers)
        except WorkspaceError:
            space = store.Workspace(workspace)
            if not (space.root / "workspace.json").exists():
                raise
            return provenance.Ledger.open(space.ledger, verifiers=verifiers)
    place = Path(workspace) if workspace else nearby_workspace()
    folder = place if (place / "checkpoint").is_file() else place / "ledger"
    return provenance.Ledger.open(folder, verifiers=verifiers)


def nearby_workspace() -> Path:
    """The workspace that the current folder is about: the only one with a log in it, or the nearest one."""
    from genepool.provenance import nearest_workspace

    here = Path.cwd()
    if here.suffix == ".genepool":
        return here
    found = sorted(path for path in here.glob("*.genepool") if (path / "ledger").is_dir())
    if len(found) == 1:
        return found[0]
    for other in (os.environ.get("GENEPOOL_WORKSPACE"), nearest_workspace(here)):
        if not found and other and Path(other, "ledger").is_dir():
            return Path(other)
    raise UsageError(
        f"ledger: expected one workspace with a log in {here}, found {len(found)}",
        hint="name it: --workspace DATASET.genepool",
    )


def digest_of(image: str) -> tuple[bytes, Path]:
    """SHA-256 of a file, and the workspace that it most likely belongs to."""
    import hashlib

    from genepool.provenance import nearest_workspace

    try:
        with Path(image).open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest(), nearest_workspace(
                Path(image).absolute().parent
            )
    except OSError as error:
        raise UsageError(f"{image}: cannot be read: {error.strerror}") from None


def head_facts(ledger: Ledger) -> dict[str, Any]:
    """Name, size, root, key and place of a log."""
    return {
        "origin": ledger.origin,
        "size": ledger.size,
        "root": ledger.root.hex(),
        "vkey": ledger.verifier.vkey,
        "path": ledger.where,
    }


def trust_of(config: Config) -> Trust:
    """The trust policy in force; asks for no passphrase."""
    from genepool import provenance

    return provenance.load_trust(config, provenance.load_public(config))
