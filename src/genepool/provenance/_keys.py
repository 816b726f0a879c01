"""The user's private key: a file of mode 0600 outside every workspace, or an environment variable."""

from __future__ import annotations

import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

from genepool.config import Config, config_directory
from genepool.errors import SignatureError, WorkspaceError
from genepool.provenance._files import atomic_write
from genepool.provenance._note import Signer

__all__ = ["OwnKey", "load_key"]

_ENVIRONMENT = "GENEPOOL_KEY"


@dataclass(frozen=True, slots=True)
class OwnKey:
    """The user's key.

    Attributes:
        signer: The key itself.
        place: The file's path, or ``$GENEPOOL_KEY``.
        created: Whether this call made it. Tell the user: whoever loses it can no longer attest.
    """

    signer: Signer
    place: str
    created: bool = False


def load_key(config: Config | None = None, *, create: bool = False) -> OwnKey | None:
    """The user's private key: ``ledger.key`` of the configuration, ``$GENEPOOL_KEY``, or the default file.

    ``$GENEPOOL_KEY`` may hold the key's text or the path of a file.

    Args:
        config: Where ``ledger.key`` may name a file.
        create: Make the key where none is named and the default file is missing.

    Returns:
        The key; None where there is none and ``create`` is false.

    Raises:
        SignatureError: The key is malformed, or others may read its file.
        WorkspaceError: A file that was named is missing, or the new key cannot be written.
    """
    if config is not None and config.ledger.key:
        return _read(Path(config.ledger.key).expanduser(), named="ledger.key")
    if value := os.environ.get(_ENVIRONMENT, "").strip():
        if value.startswith("PRIVATE+KEY+"):
            return OwnKey(Signer.parse(value), f"${_ENVIRONMENT}")
        return _read(Path(value).expanduser(), named=f"${_ENVIRONMENT}")
    path = config_directory() / "key"
    if path.exists() or path.is_symlink():
        return _read(path, named="")
    return _create(path) if create else None


def _read(path: Path, *, named: str) -> OwnKey:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if stat.S_IMODE(mode) & 0o077:
                raise SignatureError(
                    f"{path}: expected a private key that only you can read (mode 600), "
                    f"found mode {stat.S_IMODE(mode):o}",
                    hint=f"chmod 600 {path}",
                )
            text = file.read(4096).decode("utf-8", "replace")
    except OSError as error:
        source = f" (named by {named})" if named else ""
        raise WorkspaceError(f"{path}{source}: the private key cannot be read: {error.strerror}") from None
    return OwnKey(Signer.parse(text), str(path))


def _create(path: Path) -> OwnKey:
    signer = Signer.generate(f"genepool-{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # A second process that starts at the same moment must not replace the first one's key: link() fails
        # where the name exists, rename() would not.
        fresh = path.with_name(f".key-{secrets.token_hex(6)}")
        atomic_write(fresh, (signer.text() + "\n").encode(), mode=0o600)
        try:
            path.hardlink_to(fresh)
        except FileExistsError:
            return _read(path, named="")
        finally:
            fresh.unlink()
    except OSError as error:
        raise WorkspaceError(
            f"{path}: the private key cannot be written: {error.strerror}",
            hint="set GENEPOOL_HOME to a folder of yours, or GENEPOOL_KEY to a key",
        ) from None
    return OwnKey(signer, str(path), created=True)
