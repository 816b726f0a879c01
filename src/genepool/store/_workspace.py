"""Where results are kept: one folder per workspace, one writer at a time.

A workspace in an object store is worked on through a copy on this machine (`_mirror`).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote

from genepool.errors import UsageError, WorkspaceError
from genepool.store._copies import TEMPORARY, copy_of, mirror_of, opened, temporary, url_of
from genepool.store._files import make_folder, wrapped, write_atomic

if TYPE_CHECKING:
    from genepool.dataset import Dataset

_MARK = "workspace.json"
_SCHEMA = "genepool.workspace/1"


class _Named(Protocol):
    """What the choice of a workspace needs to know about a dataset."""

    @property
    def uri(self) -> str: ...

    @property
    def workspace(self) -> str | None: ...


class Workspace:
    """One folder: ``catalogue/``, ``ledger/``, ``reviews.sqlite``, ``report.html``, ``cases.parquet``.

    Args:
        root: The folder; it is created, with a mark in it, by the first write. Or the URL of a folder in an
            object store: its newest published state is fetched.

    Attributes:
        root: The folder; for a URL, that of the copy on this machine.
        url: The URL; empty for a folder.

    Raises:
        WorkspaceError: The folder belongs to a newer genepool, or is a file; the store cannot be read.
        UsageError: The URL carries a credential.
        MissingExtra: The package that serves such URLs is not installed.
    """

    def __init__(self, root: str | Path) -> None:
        text = str(root)
        if text.startswith("file://"):
            text = unquote(text.removeprefix("file://").removeprefix("localhost"))
        if "://" in text:
            self.url = text.rstrip("/")
            self.root = copy_of(self.url)
        else:
            self.root = Path(text).absolute()
            self.url = url_of(self.root)
        if self.url:
            self._refresh()
        if self.root.exists() and not self.root.is_dir():
            raise WorkspaceError(f"{self.root}: expected a folder as workspace, found a file")
        mark = self.read_json(_MARK) if self.root.is_dir() else None
        if mark is not None and mark.get("schema") != _SCHEMA:
            raise WorkspaceError(
                f"{self.root}: expected a workspace of format {_SCHEMA}, found {mark.get('schema')!r}",
                hint="a newer genepool wrote it: upgrade, or set --workspace",
            )

    catalogue = property(lambda self: self.root / "catalogue", doc="Parts and listings.")
    parts = property(lambda self: self.root / "catalogue" / "parts", doc="Rows, shared by all datasets.")
    ledger = property(lambda self: self.root / "ledger", doc="The workspace's own log.")
    reviews = property(lambda self: self.root / "reviews.sqlite", doc="Verdicts.")
    report = property(lambda self: self.root / "report.html", doc="The page of the last check.")
    cases = property(lambda self: self.root / "cases.parquet", doc="Every image that failed, and why.")

    @property
    def where(self) -> str:
        """The workspace as a user names it: URL or folder."""
        return self.url or str(self.root)

    def __repr__(self) -> str:
        return f"Workspace({self.where!r})"

    def create(self) -> Workspace:
        """Make the folder and its mark, if they are not there.

        Raises:
            WorkspaceError: The place is not writable.
        """
        make_folder(self.parts)
        if not (self.root / _MARK).exists():
            self.write_json(_MARK, {"schema": _SCHEMA})
        return self

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Be the only writer. Re-entrant in one thread; other threads wait, other processes are refused.

        The lock is the kernel's (``flock``): it ends with the process, however that ends. In an object store
        there is a second one there, which runs out a few minutes after its holder was last heard of; when the
        outermost block ends without an error, what was changed in it is published in one step.

        Raises:
            WorkspaceError: Another process is writing; its process id is named. Or the store cannot be
                reached, or was given to another writer meanwhile.
        """
        self.create()
        held = _held(self.root)
        with held.guard:
            if held.depth == 0:
                held.descriptor = _flock(self.root / "lock")
                if self.url:
                    with _closed_on_error(held.descriptor):
                        mirror_of(self.url, self.root).acquire()
            held.depth += 1
            try:
                yield
                if self.url and held.depth == 1:
                    mirror_of(self.url, self.root).push()
            finally:
                held.depth -= 1
                if held.depth == 0:
                    with contextlib.ExitStack() as stack:
                        stack.callback(os.close, held.descriptor)
                        if self.url:
                            mirror_of(self.url, self.root).release()

    def publish(self) -> None:
        """Publish what was changed on this machine outside of the lock (verdicts); nothing for a folder.

        Raises:
            WorkspaceError: Another process is writing, or the store cannot be reached; nothing is lost.
        """
        if self.url and mirror_of(self.url, self.root).changed():
            with self.lock():
                pass

    def keep_part(self, name: str) -> None:
        """Let a finished part outlive this machine: in an object store it is put there now.

        Raises:
            WorkspaceError: It cannot be put.
        """
        if self.url:
            mirror_of(self.url, self.root).push_part(name)

    def _refresh(self) -> None:
        """Fetch the newest published state, unless somebody on this machine is writing and has done so."""
        make_folder(self.root)
        mirror = mirror_of(self.url, self.root)
        held = _held(self.root)
        if not held.guard.acquire(blocking=False):
            return
        try:
            if held.depth:
                return
            try:
                descriptor = _flock(self.root / "lock")
            except WorkspaceError:
                return
            with contextlib.ExitStack() as stack:
                stack.callback(os.close, descriptor)
                mirror.pull()
        finally:
            held.guard.release()

    def links(self) -> list[str]:
        """Further logs that this workspace reads, oldest first."""
        return list((self.read_json("links.json") or {}).get("ledgers", []))

    def link(self, ledger: str | Path) -> None:
        """Remember a further log to read (written by export)."""
        known = self.links()
        place = str(Path(ledger).absolute()) if "://" not in str(ledger) else str(ledger)
        if place not in known:
            self.create()
            self.write_json("links.json", {"ledgers": [*known, place]})

    def linkable(self) -> list[str]:
        """Logs that a workspace made from this one may link: its own links and its own log.

        A log at a URL is left out: what lies in a workspace never opens a connection (`ledger.logs` does).
        """
        own = [str(self.ledger)] if not self.url and self.ledger.is_dir() else []
        return [*self.links(), *own]

    def write_json(self, name: str, data: Any) -> None:
        """Write a small JSON file inside the workspace, atomically.

        Raises:
            WorkspaceError: It cannot be written.
        """
        import orjson

        target = self.root / name
        make_folder(target.parent)
        write_atomic(target, orjson.dumps(data, option=orjson.OPT_INDENT_2))

    def read_json(self, name: str) -> Any:
        """The content of a JSON file of the workspace, or None where there is none.

        Raises:
            WorkspaceError: The file is there but is not JSON.
        """
        import orjson

        target = self.root / name
        try:
            with wrapped(target, "read"):
                return orjson.loads(target.read_bytes())
        except WorkspaceError as error:
            if isinstance(error.__cause__, (FileNotFoundError, NotADirectoryError)):
                return None
            raise
        except orjson.JSONDecodeError as error:
            raise WorkspaceError(
                f"{target}: expected JSON, found something else: {error}",
                hint=f"remove {target} and run the same command again",
            ) from error


# ------------------------------------------------------------------------------------- the lock


class _Held:
    def __init__(self) -> None:
        self.guard = threading.RLock()
        self.depth = 0
        self.descriptor = -1


@contextlib.contextmanager
def _closed_on_error(descriptor: int) -> Iterator[None]:
    try:
        yield
    except BaseException:
        os.close(descriptor)
        raise


_LOCKS: dict[str, _Held] = {}
_LOCKS_GUARD = threading.Lock()


def _held(root: Path) -> _Held:
    with _LOCKS_GUARD:
        return _LOCKS.setdefault(os.path.realpath(root), _Held())


def _take(descriptor: int, patience: int = 3) -> None:
    """The kernel's lock; somebody who only looks whether it is held has it for a moment, too."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if not patience:
            raise
        time.sleep(0.02)
        _take(descriptor, patience - 1)


def _flock(path: Path) -> int:
    with wrapped(path, "opened"):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _take(descriptor)
    except OSError as error:
        owner = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(descriptor)
        raise WorkspaceError(
            f"{path.parent}: expected to be the only writer, found process {owner} writing",
            hint=f"wait for process {owner}, or use another --workspace",
        ) from error
    with contextlib.suppress(OSError):  # the number is a courtesy; a full disk must not hide the real message
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def publish_opened() -> None:
    """Publish what this process changed in the remote workspaces that it opened.

    Raises:
        WorkspaceError: Another process is writing, or a store cannot be reached; nothing is lost.
    """
    for root in opened():
        Workspace(root).publish()


# --------------------------------------------------------------------------------------- which one


def workspace_for(dataset: Dataset | _Named, workspace: Workspace | str | Path | None = None) -> Workspace:
    """The workspace in which a dataset's results are kept; it exists when this returns.

    In this order, so that what somebody said outranks what happens to lie there: ``dataset.workspace``;
    ``workspace``; ``$GENEPOOL_WORKSPACE``; ``<dataset>.genepool`` beside a local dataset, made when missing;
    else (pictures in memory, a remote or read-only place) a temporary one that everybody in this process
    shares for this dataset and that is removed at exit.

    Raises:
        UsageError: ``workspace`` is an empty string.
        WorkspaceError: A workspace that was asked for cannot be made or is not one.
    """
    if workspace is not None and str(workspace) == "":
        raise UsageError("workspace: expected a folder, found an empty string")
    if dataset.workspace:
        return _made(dataset.workspace)
    asked = workspace or os.environ.get("GENEPOOL_WORKSPACE")
    if asked:
        return _made(asked)
    beside = _beside(dataset.uri)
    if beside is not None and beside.is_dir():
        return _made(beside)
    if beside is not None and dataset.uri not in TEMPORARY:
        with contextlib.suppress(WorkspaceError):
            return Workspace(beside).create()
    return Workspace(temporary(dataset.uri)).create()


def find_workspace(dataset: Dataset | _Named) -> Workspace | None:
    """The workspace of a dataset where one was made before; nothing is created.

    Raises:
        WorkspaceError: A newer genepool wrote it.
    """
    asked = dataset.workspace or os.environ.get("GENEPOOL_WORKSPACE")
    if asked and "://" in asked:
        space = Workspace(asked)
        return space if (space.root / _MARK).is_file() else None
    place = Path(asked) if asked else _beside(dataset.uri)
    return Workspace(place) if place is not None and (place / _MARK).is_file() else None


def _made(place: Workspace | str | Path) -> Workspace:
    space = place if isinstance(place, Workspace) else Workspace(place)
    if not (space.root / _MARK).exists():
        space.create()
    return space


def _beside(uri: str) -> Path | None:
    """``/data/set`` → ``/data/set.genepool``; wildcards of a shard pattern become underscores.

    A plug-in's ``name:/data/set.db`` lies beside what it reads.
    """
    path = Path(re.sub(r"^[a-z][a-z0-9_-]+:(?=/(?!/))", "", uri))
    if not path.is_absolute() or not path.name:
        return None
    name = re.sub(r"[^\w.\-+ ]+", "_", path.name)
    parent = path.parent
    if re.search(r"[*?{\[]", str(parent)) and not parent.is_dir():
        return None
    return parent / f"{name}.genepool"
