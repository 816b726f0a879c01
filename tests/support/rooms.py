"""A small set with controls, its room, and a server in this process. Reviewers are named ``test:``."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import threading
import urllib.parse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from genepool import origin, provenance, web
from genepool.config import Config, config_directory
from genepool.store import Workspace
from support.marks import A1111
from support.scans import encoded, picture, scanned

CONFIG = Config().with_(engine__workers=1)


def gallery(folder: Path, space: Path, *, known: int = 6, unknown: int = 12) -> Path:
    """``known`` attested and as many machine-made pictures, ``unknown`` about which nothing is known."""
    from PIL.PngImagePlugin import PngInfo

    (folder / "human").mkdir(parents=True)
    for i in range(known):
        (folder / "human" / f"h{i}.jpg").write_bytes(encoded(picture(1000 + i)))
    if known:
        held = scanned(folder / "human", space)
        provenance.register_human(held, Workspace(space), cohort="c", config=Config())
    info = PngInfo()
    info.add_text("parameters", A1111)
    for i in range(known):
        picture(2000 + i).save(folder / f"m{i}.png", pnginfo=info)
    for i in range(unknown):
        (folder / f"secret-name-{i}.jpg").write_bytes(encoded(picture(i, 96 + i)))
    return folder


def opened(folder: Path, space: Path, **options: Any) -> web.Room:
    """The room of a folder."""
    catalogue = scanned(folder, space)
    origins = origin.settle(catalogue, Workspace(space), CONFIG)
    # The key by its file: the room outlives the home folder that a test gives to itself.
    key = config_directory() / "key"
    config = CONFIG.with_(ledger__key=str(key)) if key.exists() else CONFIG
    return web.open_room(Workspace(space), catalogue, origins, config, **options)


@contextlib.contextmanager
def served(room: web.Room, users: Sequence[str] = (), **options: Any) -> Iterator[web.Serving]:
    """The room on a free port of this machine, in a thread."""
    with web.serve(room, users=users, **options) as serving:
        thread = threading.Thread(target=serving.wait)
        thread.start()
        try:
            assert serving.ready()
            yield serving
        finally:
            serving.stop()
            thread.join(20)


class Caller:
    """Plain HTTP, for looking at what the server does with odd requests."""

    def __init__(self, serving: web.Serving) -> None:
        self.address = urllib.parse.urlsplit(serving.url)
        self.cookie = self.csrf = ""

    def call(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers with lower-case names, body."""
        link = http.client.HTTPConnection(self.address.hostname or "", self.address.port, timeout=20)
        try:
            sent = {"cookie": self.cookie} if self.cookie else {}
            if isinstance(body, dict):
                body = json.dumps(body)
                sent |= {"content-type": "application/json", "x-csrf-token": self.csrf}
            link.request(method, path, body, {**sent, **(headers or {})})
            answer = link.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, found, answer.read()
        finally:
            link.close()

    def ask(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Post and insist on success."""
        status, _, data = self.call("POST", path, body)
        assert status == 200, (status, data)
        found: dict[str, Any] = json.loads(data)
        return found

    def enter(self, link: str, name: str = "test:caller") -> Caller:
        """Use a key."""
        key = urllib.parse.parse_qs(urllib.parse.urlsplit(link).query)["key"][0]
        form = urllib.parse.urlencode({"key": key, "name": name})
        status, headers, _ = self.call("POST", "/enter", form)
        assert status == 303, status
        self.cookie = headers["set-cookie"].partition(";")[0]
        page = self.call("GET", "/decide")[2].decode()
        self.csrf = re.search(r'name="csrf" content="([^"]*)"', page)[1]  # type: ignore[index]
        return self
