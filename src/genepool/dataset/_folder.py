"""A folder of image files, recursive; captions and sidecars beside them; Hugging Face ``imagefolder``."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from genepool.dataset._files import (
    MAX_BYTES,
    Refused,
    Unreachable,
    is_url,
    join,
    read_file,
    refusal,
    same_object,
    unlisted,
)
from genepool.dataset._sidecar import (
    MAX_CAPTION,
    MAX_SIDECAR,
    SidecarError,
    caption_from_json,
    caption_text,
    claims,
    loads,
)
from genepool.dataset._walk import Beside, walk
from genepool.errors import SourceError
from genepool.records import Case, Item, Sample

if TYPE_CHECKING:
    from concurrent.futures import Future

__all__ = ["FolderSource"]

_AHEAD = 8
"""Objects that are read at the same time by one worker."""
_AHEAD_BYTES = 32 << 20
"""Bytes of them, by their listed sizes, beyond which none is begun."""


@dataclass(slots=True, unsafe_hash=True)
class FolderSource:
    """Image files below a folder.

    Attributes:
        root: Local absolute path or fsspec URL.
        uri: The dataset's name; empty = ``root``.
        max_bytes: Files larger than this are refused unread.
        kind: ``folder``.
    """

    root: str
    uri: str = ""
    max_bytes: int = MAX_BYTES
    kind: str = "folder"

    def __post_init__(self) -> None:
        self.uri = self.uri or self.root

    def list(self, aside: list[Case]) -> Iterator[Item]:
        """All images in the order of their uris; see `Source.list`.

        Raises:
            SourceError: The folder itself cannot be listed.
        """
        try:
            yield from walk(self.root, aside)
        except Unreachable as error:
            raise unlisted(self.uri, error) from None
        except OSError as error:
            raise SourceError(
                f"{self.uri}: cannot be listed: {error.strerror or error}",
                hint="check the path and its permissions",
            ) from None

    def read(self, items: Sequence[Item]) -> Iterator[Sample]:
        """The bytes of these files with captions and claims, in order; see `Source.read`."""
        if is_url(self.root):
            return _ahead(items, self._one)
        return map(self._one, items)

    def _one(self, item: Item) -> Sample:
        try:
            data = read_file(item.path, self.max_bytes, size=item.length)
            if is_url(item.path) and not same_object(item.path, item.stamp, data):
                raise Refused("changed", "expected the object as it was listed; it was replaced since")
            return _described(item, data) if item.extra else Sample(item, data)
        except Refused as refused:
            return Sample(item, None, case=Case(item.uri, refused.reason, refused.message))
        except (OSError, ValueError) as error:
            reason, message = refusal(error if isinstance(error, OSError) else OSError(str(error)))
            return Sample(item, None, case=Case(item.uri, reason, message))


def _ahead(items: Sequence[Item], read: Callable[[Item], Sample]) -> Iterator[Sample]:
    """Read objects some ahead of the one that is asked for: a store answers late, but many at once."""
    from concurrent.futures import ThreadPoolExecutor

    waiting: deque[tuple[int, Future[Sample]]] = deque()
    held = at = 0
    pool = ThreadPoolExecutor(_AHEAD, "genepool-read")
    try:
        while at < len(items) or waiting:
            while at < len(items) and len(waiting) < _AHEAD and (held < _AHEAD_BYTES or not waiting):
                size = max(items[at].length, 0)
                waiting.append((size, pool.submit(read, items[at])))
                held, at = held + size, at + 1
            size, future = waiting.popleft()
            held -= size
            yield future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _described(item: Item, data: bytes) -> Sample:
    beside = Beside(*item.extra)
    folder = item.path.rpartition("/")[0]
    declared: dict[str, Any] = dict(beside.claims or {})
    case = None
    if beside.sidecar:
        try:
            found, wrong = claims(loads(_companion(folder, beside.sidecar, MAX_SIDECAR)))
            declared.update(found)
        except SidecarError as error:
            wrong = [str(error)]
        if wrong:
            # The image goes on: a sample with bytes and a case is a note, not a refusal.
            case = Case(item.uri, "bad-sidecar", f"{beside.sidecar}: {wrong[0]}")
    caption = declared.get("caption")
    if caption is None and beside.text:
        caption = caption_text(_quiet(folder, beside.text, 4 * MAX_CAPTION))
    if caption is None and beside.json:
        caption = caption_from_json(_quiet(folder, beside.json, MAX_SIDECAR))
    return Sample(item, data, caption_text(caption) or beside.caption, declared or None, case)


def _companion(folder: str, name: str, limit: int) -> bytes:
    try:
        return read_file(join(folder, name), limit, empty=True)
    except Refused as refused:
        raise SidecarError(refused.message) from None
    except Unreachable:
        raise  # the image must wait for it: without its sidecar it would be known by halves for ever
    except OSError as error:
        raise SidecarError(refusal(error)[1]) from None


def _quiet(folder: str, name: str, limit: int) -> bytes:
    """A caption file's bytes; nothing where it cannot be read or is absurdly large."""
    try:
        return _companion(folder, name, limit)
    except SidecarError:
        return b""
