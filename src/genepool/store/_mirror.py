"""A workspace in an object store, and the copy of it on this machine that everything works with.

Reading begins with the newest manifest: what the copy lacks is fetched. A writer holds the lock in the store
(`genepool.remote.Lease`), puts every finished part there at once, and at the end publishes all other changes
by one new manifest. Until then others see the old state, whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

from genepool import remote
from genepool.errors import WorkspaceError
from genepool.store._aside import move_aside
from genepool.store._files import make_folder, write_atomic
from genepool.store._manifest import PARTS, FileEntry, Manifest, is_kept
from genepool.store._snapshot import restore, snapshot

__all__ = ["Mirror", "url_in"]

_RECORD = ".store.json"
_VERDICTS = "reviews.sqlite"
_SHOWN = ("report.html", "certificate.genepool")
"""Files of which the newest also lies in the store under its own name, for people who look there."""
_ATTEMPTS = 3


class Mirror:
    """The copy at ``root`` of the workspace at ``url``.

    Args:
        url: A folder in an object store.
        root: A folder of this machine that belongs to this user and this URL alone.

    Raises:
        WorkspaceError: Puts at such URLs are not atomic.
    """

    def __init__(self, url: str, root: Path) -> None:
        self.url = url.rstrip("/")
        self.root = root
        remote.check_url(self.url)
        if not remote.is_object_store(self.url):
            raise WorkspaceError(
                f"{url}: expected a local folder or an object store (s3://, gs://, abfs:// …) as workspace",
                hint="--workspace DIR or --workspace s3://BUCKET/FOLDER",
            )
        self.lease = remote.Lease(f"{self.url}/locks", self.url)
        self._sent: dict[str, int] = {}
        if not (root / _RECORD).exists():
            make_folder(root)
            self._remember(Manifest())

    # ------------------------------------------------------------------------------------- reading

    def pull(self, *, parts: bool = False) -> None:
        """Bring the copy up to the newest manifest; changes that were made here and not published stay.

        Args:
            parts: Also fetch parts that no manifest names yet: an interrupted writer's. Under the lock only.

        Raises:
            WorkspaceError: The store cannot be read, or verdicts were given on two machines at once; then
                those given here have been kept in a file of their own, which the message names.
        """
        kept = ""
        with _explained(self.url):
            for attempt in range(_ATTEMPTS):
                base, newest = self._record(), self._newest()
                if newest.version < base.version:
                    self._set_aside()
                    base = Manifest()
                try:
                    if newest.version != base.version:
                        kept = self._take(newest, base) or kept
                    break
                except FileNotFoundError:
                    # Published anew meanwhile, and what only the old manifest named was cleared away.
                    if attempt == _ATTEMPTS - 1:
                        raise
            if parts:
                self._adopt()
        if kept:
            raise WorkspaceError(
                f"{self.url}: verdicts were given here while others were published from another machine; "
                f"those given here are in {self.root / kept}",
                hint="copy it as reviews.sqlite into a folder F; genepool review PATH --workspace F --export "
                "V.jsonl, then --import V.jsonl into this workspace, which goes on without them until then",
            )

    def exists(self) -> bool:
        """Whether there is a workspace at the URL."""
        with _explained(self.url):
            return self._newest().version > 0

    def _newest(self) -> Manifest:
        import orjson

        folder = f"{self.url}/manifests"
        for _ in range(_ATTEMPTS):
            numbers = _numbers(folder)
            if not numbers:
                return Manifest()
            place = f"{folder}/{numbers[-1]:010d}"
            with contextlib.suppress(FileNotFoundError):  # the next one was published this moment
                try:
                    return Manifest.from_json(orjson.loads(remote.read_object(place)), place)
                except orjson.JSONDecodeError:
                    raise WorkspaceError(f"{place}: expected JSON, found something else") from None
        raise WorkspaceError(f"{folder}: expected a manifest, found none that stays")

    def _record(self) -> Manifest:
        """The manifest that this copy was last equal to."""
        import orjson

        with contextlib.suppress(OSError, ValueError, KeyError, WorkspaceError):
            data = orjson.loads((self.root / _RECORD).read_bytes())
            if data["url"] == self.url:
                return Manifest.from_json(data["manifest"], str(self.root / _RECORD))
        return Manifest()

    def _remember(self, manifest: Manifest) -> None:
        import orjson

        data = {"url": self.url, "manifest": manifest.to_json()}
        write_atomic(self.root / _RECORD, orjson.dumps(data))

    def _take(self, newest: Manifest, base: Manifest) -> str:
        """Make the copy equal to a manifest; the name under which conflicting verdicts were kept, if any."""
        kept = ""
        present = dict(self._present())
        for name, entry in newest.files.items():
            mine, known = present.get(name), base.files.get(name)
            if name == _VERDICTS:
                kept = self._take_verdicts(entry, known, newest.version)
            elif mine is None or not self._stands(name, mine, known, entry):
                if mine is not None and not (known and known[1:] == mine[1:]) and not name.startswith(PARTS):
                    move_aside(self.root / name, copy=True)  # changed here too, and never published
                self._fetch(name, entry)
        for name in base.files.keys() - newest.files.keys():
            if name in present and present[name][1:] == base.files[name][1:]:
                (self.root / name).unlink(missing_ok=True)
        self._remember(newest)
        return kept

    def _stands(self, name: str, mine: FileEntry, known: FileEntry | None, entry: FileEntry) -> bool:
        """Whether a file of the copy may stay: it is as published, or was changed here and nowhere else."""
        part = name.startswith(PARTS)
        same = known is not None and (known == entry if part else known.sha256 == entry.sha256)
        if known is not None and mine[1:] == known[1:]:
            return same
        if same:
            return True  # not published yet
        if part:
            equal = mine.size == entry.size
        else:
            with (self.root / name).open("rb") as file:
                equal = hashlib.file_digest(file, "sha256").hexdigest() == entry.sha256
        if equal:
            os.utime(self.root / name, ns=(entry.mtime_ns, entry.mtime_ns))
        # Where both changed, what was published stands; what was here is moved aside.
        return equal

    def _fetch(self, name: str, entry: FileEntry) -> None:
        far = f"{self.url}/{name}" if name.startswith(PARTS) else f"{self.url}/files/{entry.sha256}"
        data = remote.read_object(far, entry.size)
        if entry.sha256 and hashlib.sha256(data).hexdigest() != entry.sha256:
            raise WorkspaceError(
                f"{far}: expected the bytes that its name says, found others ({name})",
                hint="restore the object, or remove it and run the same command again",
            )
        target = self.root / name
        make_folder(target.parent)
        write_atomic(target, data)
        # Listings recognise untouched parts by size and time: these must be those of the writer's files.
        os.utime(target, ns=(entry.mtime_ns, entry.mtime_ns))

    def _take_verdicts(self, entry: FileEntry, known: FileEntry | None, version: int) -> str:
        path, kept = self.root / _VERDICTS, ""
        if known is not None and known.sha256 == entry.sha256:
            return ""
        if mine := snapshot(path):
            digest = hashlib.sha256(mine).hexdigest()
            if digest == entry.sha256:
                return ""
            if known is None or digest != known.sha256:
                kept = f"reviews-unpublished-{version}-{secrets.token_hex(3)}.sqlite"
                write_atomic(self.root / kept, mine)
        data = remote.read_object(f"{self.url}/files/{entry.sha256}", entry.size)
        if hashlib.sha256(data).hexdigest() != entry.sha256:
            raise WorkspaceError(f"{self.url}/files/{entry.sha256}: expected the bytes that its name says")
        restore(path, data)
        return kept

    def _adopt(self) -> None:
        """Fetch finished parts of an interrupted writer, and learn which parts the store has."""
        self._sent = {}
        folder = f"{self.url}/{PARTS}".rstrip("/")
        try:
            found = remote.listing(folder)
        except FileNotFoundError:
            return
        for info in found:
            name, size = PARTS + str(info["name"]).rpartition("/")[2], int(info.get("size") or 0)
            if is_kept(name) and name.endswith(".parquet"):
                self._sent[name] = size
                if not (self.root / name).exists():
                    self._fetch(name, FileEntry("", size, time.time_ns()))

    def _set_aside(self) -> None:
        """The workspace in the store was removed, or an older one put in its place: begin from that one."""
        old = self.root.with_name(f"{self.root.name}.before-{time.time_ns()}")
        self.root.rename(old)
        make_folder(self.root)

    # ------------------------------------------------------------------------------------- writing

    def acquire(self) -> None:
        """Take the lock in the store and bring the copy up to date.

        Raises:
            WorkspaceError: Another process holds it, or the store cannot be reached.
        """
        with _explained(self.url):
            self.lease.acquire()
        try:
            self.pull(parts=True)
        except BaseException:
            self.lease.release()
            raise

    def release(self) -> None:
        """Give the lock back."""
        with _explained(self.url):
            self.lease.release()

    def push_part(self, name: str) -> None:
        """Put a finished part into the store, vectors first, so that it outlives this machine.

        Raises:
            WorkspaceError: It cannot be put.
        """
        for file in (f"{PARTS}{name}.vec.parquet", f"{PARTS}{name}.parquet"):
            with contextlib.suppress(FileNotFoundError):
                self._send_part(file)

    def _send_part(self, name: str) -> None:
        data = (self.root / name).read_bytes()
        remote.put(f"{self.url}/{name}", data)
        self._sent[name] = len(data)

    def changed(self) -> bool:
        """Whether the copy holds anything that is not published; the store is not asked."""
        base = self._record()
        present = dict(self._present())
        for name, entry in present.items():
            known = base.files.get(name)
            if name == _VERDICTS:
                if known is None or hashlib.sha256(snapshot(self.root / name)).hexdigest() != known.sha256:
                    return True
            elif known is None or known[1:] != entry[1:]:
                return True
        return base.files.keys() != present.keys()

    def push(self) -> None:
        """Publish the copy as it is now, in one step; nothing is done where nothing changed.

        Raises:
            WorkspaceError: The lock was lost to another writer, or the store cannot be written. The copy
                keeps what is not published; the next writer on this machine publishes it.
        """
        base = self._record()
        entries: dict[str, FileEntry] = {}
        stored = {entry.sha256 for entry in base.files.values()}
        for name, entry in self._present():
            entries[name] = self._sent_entry(name, entry, base.files.get(name), stored)
        if entries == base.files and base.version:
            return
        with _explained(self.url):
            if not self.lease.held():
                raise WorkspaceError(
                    f"{self.url}: the lock was lost while this process was away; nothing was published",
                    hint="run the same command again: finished parts are kept",
                )
            fresh = Manifest(base.version + 1, entries)
            self._publish(fresh)
            self._remember(fresh)
            self._show(fresh, base)
            self._clear(fresh)

    def _sent_entry(
        self, name: str, entry: FileEntry, known: FileEntry | None, stored: set[str]
    ) -> FileEntry:
        """The entry of one file, which is in the store when this returns."""
        if name == _VERDICTS:
            data = snapshot(self.root / name)
            digest = hashlib.sha256(data).hexdigest()
            if known is not None and known.sha256 == digest:
                return known
        elif known is not None and known[1:] == entry[1:]:
            return known
        elif name.startswith(PARTS):
            if self._sent.get(name) != entry.size:
                self._send_part(name)
            return entry
        else:
            data = (self.root / name).read_bytes()
            digest = hashlib.sha256(data).hexdigest()
        if digest not in stored:
            remote.put(f"{self.url}/files/{digest}", data)
            stored.add(digest)
        return FileEntry(digest, len(data), entry.mtime_ns)

    def _publish(self, fresh: Manifest) -> None:
        import orjson

        body = {**fresh.to_json(), "writer": secrets.token_hex(8), "at": int(time.time())}
        try:
            remote.put(f"{self.url}/manifests/{fresh.version:010d}", orjson.dumps(body), create=True)
        except FileExistsError:
            raise WorkspaceError(
                f"{self.url}: another process published a state of the workspace meanwhile",
                hint="run the same command again: finished parts are kept",
            ) from None

    def _show(self, fresh: Manifest, base: Manifest) -> None:
        for name in _SHOWN:
            entry = fresh.files.get(name)
            if entry is None and name in base.files:
                remote.remove(f"{self.url}/{name}")
            elif entry is not None and entry != base.files.get(name):
                remote.put(f"{self.url}/{name}", (self.root / name).read_bytes())

    def _clear(self, fresh: Manifest) -> None:
        """Remove what the new manifest does not name: superseded files, merged parts, erased data."""
        for number in _numbers(f"{self.url}/manifests"):
            if number < fresh.version:
                remote.remove(f"{self.url}/manifests/{number:010d}")
        wanted = {entry.sha256 for entry in fresh.files.values()} | set(fresh.files)
        for folder, prefix in ((f"{self.url}/files", ""), (f"{self.url}/{PARTS}".rstrip("/"), PARTS)):
            with contextlib.suppress(FileNotFoundError):
                for info in remote.listing(folder):
                    name = str(info["name"]).rpartition("/")[2]
                    if prefix + name not in wanted:
                        remote.remove(f"{folder}/{name}")

    def _present(self) -> Iterator[tuple[str, FileEntry]]:
        """The files of the copy that are published, without digests."""
        for folder, _, names in os.walk(self.root):
            for name in names:
                path = Path(folder, name)
                relative = path.relative_to(self.root).as_posix()
                if is_kept(relative) and not path.is_symlink():
                    with contextlib.suppress(FileNotFoundError):
                        status = path.stat()
                        yield relative, FileEntry("", status.st_size, status.st_mtime_ns)


def url_in(root: Path) -> str:
    """The URL of which a folder says that it is the copy; empty where it says nothing."""
    import orjson

    try:
        return str(orjson.loads((root / _RECORD).read_bytes())["url"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _numbers(folder: str) -> list[int]:
    try:
        names = [str(info["name"]).rpartition("/")[2] for info in remote.listing(folder)]
    except FileNotFoundError:
        return []
    return sorted(int(name) for name in names if name.isdecimal())


@contextlib.contextmanager
def _explained(url: str) -> Iterator[None]:
    """Errors of the store as `WorkspaceError`s that name the object."""
    try:
        yield
    except OSError as error:
        raise WorkspaceError(
            f"{error.filename or url}: cannot be read or written: {error.strerror or error}",
            hint="look at the store and its permissions, then run the same command again",
        ) from None
