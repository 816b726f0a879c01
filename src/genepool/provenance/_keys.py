"""The user's private key: a file of mode 0600 outside every workspace, or an environment variable."""

from __future__ import annotations

import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

from genepool.config import Config, config_directory
from genepool.errors import SignatureError, UsageError, WorkspaceError
from genepool.provenance._files import atomic_write
from genepool.provenance._keyfile import is_protected, protect, read_key, read_public
from genepool.provenance._note import Signer, Verifier

__all__ = ["OwnKey", "change_passphrase", "load_key", "load_public", "rotate_key", "witness_key"]

_ENVIRONMENT = "GENEPOOL_KEY"
_PASSPHRASE = "GENEPOOL_PASSPHRASE"  # noqa: S105  # the variable's name
_MOST = 64 * 1024


@dataclass(frozen=True, slots=True)
class OwnKey:
    """The user's key.

    Attributes:
        signer: The key itself.
        place: The file's path, or ``$GENEPOOL_KEY``.
        created: Whether this call made it. Tell the user: whoever loses it can no longer attest.
        protected: Whether a passphrase guards the file.
        older: Keys that it replaced, newest first.
    """

    signer: Signer
    place: str
    created: bool = False
    protected: bool = False
    older: tuple[Signer, ...] = ()

    @property
    def verifiers(self) -> tuple[Verifier, ...]:
        """The public sides: this key's, then those that it replaced."""
        return (self.signer.verifier, *(signer.verifier for signer in self.older))


def load_key(config: Config | None = None, *, create: bool = False) -> OwnKey | None:
    """The user's private key: ``ledger.key`` of the configuration, ``$GENEPOOL_KEY``, or the default file.

    ``$GENEPOOL_KEY`` may hold the key's text or the path of a file. A key that is made while
    ``$GENEPOOL_PASSPHRASE`` is set is protected by it.

    Args:
        config: Where ``ledger.key`` may name a file.
        create: Make the key where none is named and the default file is missing.

    Returns:
        The key; None where there is none and ``create`` is false.

    Raises:
        SignatureError: The key is malformed, others may read its file, or the passphrase is wrong.
        WorkspaceError: A file that was named is missing, or the new key cannot be written.
    """
    if config is not None and config.ledger.key:
        return _read(Path(config.ledger.key).expanduser(), named="ledger.key")
    if value := os.environ.get(_ENVIRONMENT, "").strip():
        if value.startswith(("PRIVATE+KEY+", "ENCRYPTED+KEY+")):
            return OwnKey(read_key(value), f"${_ENVIRONMENT}", protected=is_protected(value))
        return _read(Path(value).expanduser(), named=f"${_ENVIRONMENT}")
    path = config_directory() / "key"
    if path.exists() or path.is_symlink():
        return _read(path, named="")
    return _create(path) if create else None


def load_public(config: Config | None = None) -> tuple[Verifier, ...]:
    """The public sides of the user's key and of those that it replaced; asks for no passphrase.

    Returns:
        Newest first; empty where there is no key.

    Raises:
        SignatureError: A key is malformed, or others may read its file.
        WorkspaceError: A file that was named is missing.
    """
    path, named = config_directory() / "key", ""
    if config is not None and config.ledger.key:
        path, named = Path(config.ledger.key).expanduser(), "ledger.key"
    elif value := os.environ.get(_ENVIRONMENT, "").strip():
        if value.startswith(("PRIVATE+KEY+", "ENCRYPTED+KEY+")):
            return (read_public(value),)
        path, named = Path(value).expanduser(), f"${_ENVIRONMENT}"
    elif not (path.exists() or path.is_symlink()):
        return ()
    return tuple(read_public(_text(file, named)) for file in (path, *_replaced(path)))


def _replaced(path: Path) -> list[Path]:
    return sorted(path.parent.glob(f"{path.name}.replaced-*"), reverse=True)


def _read(path: Path, *, named: str) -> OwnKey:
    text = _text(path, named)
    older = tuple(read_key(_text(other, "")) for other in _replaced(path))
    return OwnKey(read_key(text), str(path), protected=is_protected(text), older=older)


def _text(path: Path, named: str) -> str:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if stat.S_IMODE(mode) & 0o077:
                raise SignatureError(
                    f"{path}: expected a private key that only you can read (mode 600), "
                    f"found mode {stat.S_IMODE(mode):o}",
                    hint=f"chmod 600 {path}",
                )
            return file.read(_MOST).decode("utf-8", "replace")
    except OSError as error:
        source = f" (named by {named})" if named else ""
        raise WorkspaceError(f"{path}{source}: the private key cannot be read: {error.strerror}") from None


def _file(signer: Signer, phrase: str) -> bytes:
    return f"{protect(signer, phrase) if phrase else signer.text()}\n".encode()


def _create(path: Path) -> OwnKey:
    signer = Signer.generate(f"genepool-{secrets.token_hex(4)}")
    phrase = os.environ.get(_PASSPHRASE, "")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # A second process that starts at the same moment must not replace the first one's key: link() fails
        # where the name exists, rename() would not.
        fresh = path.with_name(f".key-{secrets.token_hex(6)}")
        atomic_write(fresh, _file(signer, phrase), mode=0o600)
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
    return OwnKey(signer, str(path), created=True, protected=bool(phrase))


def witness_key(path: str | Path) -> Signer:
    """A witness's own private key, made when its file is missing. It must serve nothing else.

    Raises:
        SignatureError: The key is malformed, or others may read its file.
        WorkspaceError: The file cannot be read or written.
    """
    place = Path(path)
    if place.exists():
        return _read(place, named="--key").signer
    signer = Signer.generate(f"witness-{secrets.token_hex(4)}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(place, _file(signer, os.environ.get(_PASSPHRASE, "")), mode=0o600)
    except OSError as error:
        raise WorkspaceError(f"{place}: the witness's key cannot be written: {error.strerror}") from None
    return signer


def rotate_key(config: Config | None = None) -> OwnKey:
    """Replace the user's key by a fresh one; the old one is kept beside it as ``<file>.replaced-<n>``.

    Logs of the old key go over to the new one when they are next written (`open_writer`), by a statement
    that the old key signs.

    Raises:
        UsageError: There is no key yet, or it is no file that can be replaced.
        WorkspaceError: The files cannot be written.
    """
    own = load_key(config)
    if own is None or own.place.startswith("$"):
        raise UsageError(
            f"key rotate: expected a key in a file, found {own.place if own else 'no key'}",
            hint="keep the key in a file and name it by ledger.key or GENEPOOL_KEY",
        )
    path = Path(own.place)
    phrase = os.environ.get(_PASSPHRASE, "")
    if own.protected and not phrase:
        raise UsageError("key rotate: the new key needs a passphrase too", hint=f"set {_PASSPHRASE}")
    fresh = Signer.generate(f"genepool-{secrets.token_hex(4)}")
    kept = path.with_name(f"{path.name}.replaced-{len(own.older):03}")
    try:
        # The old key is safe before the new one takes its place.
        atomic_write(kept, path.read_bytes(), mode=0o600)
        atomic_write(path, _file(fresh, phrase if own.protected else ""), mode=0o600)
    except OSError as error:
        raise WorkspaceError(f"{path}: the new key cannot be written: {error.strerror}") from None
    return OwnKey(fresh, str(path), True, own.protected, (own.signer, *own.older))


def change_passphrase(phrase: str, config: Config | None = None) -> OwnKey:
    """Protect the user's key file by a passphrase, or (empty) take the protection away.

    Raises:
        UsageError: There is no key in a file.
        WorkspaceError: The file cannot be written.
    """
    own = load_key(config)
    if own is None or own.place.startswith("$"):
        raise UsageError("key protect: expected a key in a file, found none")
    path = Path(own.place)
    files = [path, *_replaced(path)]
    try:
        for file, signer in zip(files, (own.signer, *own.older), strict=True):
            atomic_write(file, _file(signer, phrase), mode=0o600)
    except OSError as error:
        raise WorkspaceError(f"{path}: the key cannot be written: {error.strerror}") from None
    return OwnKey(own.signer, own.place, False, bool(phrase), own.older)
