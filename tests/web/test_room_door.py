"""The room's door and walls: who gets in, what leaks, what is refused."""

from __future__ import annotations

import io
import json
import os
import stat

import pytest
from PIL import Image

from genepool import web
from genepool.errors import UsageError
from genepool.store import Workspace
from genepool.web._auth import Door, Limiter, invitation, room_secret
from support.rooms import Caller, gallery, opened, served


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("door")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENEPOOL_HOME", str(root / "home"))
        folder = gallery(root / "set", root / "ws")
        with served(opened(folder, root / "ws")) as serving:
            yield Caller(serving).enter(serving.links[""]), serving, folder


def test_the_key_opens_once(place):
    caller, serving, _ = place
    again = Caller(serving)
    with pytest.raises(AssertionError, match="403"):
        again.enter(serving.links[""])
    for path in ("/", "/decide", "/board", "/image/x", "/api/next"):
        assert again.call("GET", path)[0] == 401
    forged = Caller(serving)
    forged.cookie = caller.cookie[:-2] + "xx"
    assert forged.call("GET", "/")[0] == 401


def test_every_answer_is_walled_in(place):
    caller, _, _ = place
    for path in ("/", "/decide", "/static/room.js", "/nowhere"):
        _, headers, _ = caller.call("GET", path)
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "server" not in headers
    # Another name that was made to point here (DNS rebinding) is not served.
    assert caller.call("GET", "/", headers={"host": "evil.example"})[0] == 421


def test_the_cookie_is_for_this_site_only(tmp_path):
    folder = gallery(tmp_path / "set", tmp_path / "ws", known=0, unknown=2)
    with served(opened(folder, tmp_path / "ws")) as serving:
        caller, key = Caller(serving), serving.links[""].partition("key=")[2]
        assert b"This key does not open" in caller.call("GET", "/enter?key=wrong")[2]
        status, headers, _ = caller.call("POST", "/enter", f"key={key}&name=%00")
        assert status == 200  # a name that is none does not use the key up
        assert "set-cookie" not in headers
        headers = caller.call("POST", "/enter", f"key={key}&name=test%3Aa")[1]
        assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(headers["set-cookie"].split("; "))


def test_changes_need_the_token_of_the_session(place):
    caller, _, _ = place
    assert caller.call("POST", "/api/next", {"n": 1}, {"x-csrf-token": "wrong"})[0] == 403
    assert caller.call("POST", "/api/next", {"n": 1}, {"sec-fetch-site": "cross-site"})[0] == 403
    assert caller.call("POST", "/api/next", {"n": 1})[0] == 200
    assert caller.call("GET", "/api/next")[0] == 405


def test_a_question_gives_nothing_away(place):
    caller, _, folder = place
    items = caller.ask("/api/next", {"n": 8})["items"]
    assert len(items) == 8
    assert all(set(item) == {"token"} for item in items)
    sizes = set()
    for item in items:
        status, headers, data = caller.call("GET", f"/image/{item['token']}")
        assert status == 200
        assert headers["content-type"] == "image/jpeg"
        assert not {"etag", "last-modified", "content-disposition"} & set(headers)
        with Image.open(io.BytesIO(data)) as image:
            sizes.add(max(image.size))
            assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
            assert not image.getexif()
        assert b"secret-name" not in data
    assert sizes == {1280}  # whatever the file's own size is
    # Before the verdict there is no evidence, and no page names a file.
    status, _, data = caller.call("POST", "/api/evidence", {"token": items[0]["token"]})
    assert status == 400
    assert b"verdict" in data
    assert b"secret-name" not in caller.call("GET", "/decide")[2]
    assert any(path.name.startswith("secret-name") for path in folder.iterdir())


def test_nonsense_is_refused_and_named(place):
    caller, _, _ = place
    token = caller.ask("/api/next", {"n": 1})["items"][0]["token"]
    good = {"token": token, "answer": "human", "nonce": "n" * 12}
    for change in (
        {"answer": "perhaps"},
        {"token": "none"},
        {"nonce": "x"},
        {"seconds": "long"},
        {"comment": 5},
    ):
        status, _, data = caller.call("POST", "/api/verdict", good | change)
        assert status == 400, change
        assert json.loads(data)["error"]
    headers = {"x-csrf-token": caller.csrf}
    assert caller.call("POST", "/api/verdict", "[1]", headers)[0] == 400
    assert caller.call("POST", "/api/verdict", "x" * 70_000, headers)[0] == 413


def test_a_decision_sent_twice_is_kept_once(place):
    caller, _, folder = place
    token = caller.ask("/api/next", {"n": 1})["items"][0]["token"]
    from genepool.store import Verdicts

    space = Workspace(folder.parent / "ws")
    body = {"token": token, "answer": "ai", "nonce": "once-only", "sequence": 0, "seconds": 1.5}
    before = Verdicts(space).count()
    assert caller.ask("/api/verdict", body) == {"saved": True, "changed": False, "undo": False}
    caller.ask("/api/verdict", body)
    assert Verdicts(space).count() == before + 1
    found = caller.ask("/api/evidence", {"token": token})
    assert found["facts"]
    assert caller.ask("/api/verdict", body | {"nonce": "another-one", "answer": "human"})["changed"]
    assert Verdicts(space).all()[-1].changed


def test_other_addresses_need_named_people(tmp_path):
    with pytest.raises(UsageError, match="named users"):
        Door(b"s" * 32, (), "0.0.0.0")  # refused is the point
    folder = gallery(tmp_path / "set", tmp_path / "ws", known=0, unknown=3)
    with served(opened(folder, tmp_path / "ws"), ["test:ann", "test:bob"], host="0.0.0.0") as serving:
        assert set(serving.links) == {"test:ann", "test:bob"}
        ann = Caller(serving).enter(serving.links["test:ann"], name="somebody else")
        assert b"test:ann" in ann.call("GET", "/")[2]
        bob = Caller(serving).enter(serving.links["test:bob"])
        token = ann.ask("/api/next", {"n": 1})["items"][0]["token"]
        assert bob.call("GET", f"/image/{token}")[0] == 400
        status = bob.call("POST", "/api/verdict", {"token": token, "answer": "ai", "nonce": "n" * 12})[0]
        assert status == 400


def test_invitations_are_signed_and_run_out():
    secret, now = b"s" * 32, [1000.0]
    door = Door(secret, ("Ann",), "192.0.2.1", clock=lambda: now[0])
    key = door.keys()["Ann"]
    assert door.invited(key) == "Ann"
    assert door.invited(invitation(b"t" * 32, "Ann", now=1000.0)) is None
    assert door.invited(invitation(secret, "Eve", now=1000.0)) is None
    body, _, signature = key.partition(".")
    assert door.invited(body[:-1] + "A." + signature) is None
    cookie = door.enter(key, "Eve")
    assert cookie
    assert door.session(cookie).user == "Ann"
    assert door.session(key) is None  # an invitation is no session
    now[0] += 8 * 86_400
    assert door.invited(key) is None
    assert door.session(cookie) is None


def test_the_secret_is_for_its_owner_only(tmp_path):
    space = Workspace(tmp_path / "ws").create()
    first = room_secret(space)
    assert room_secret(space) == first
    assert len(first) == 32
    assert stat.S_IMODE(os.stat(space.root / "review.secret").st_mode) == 0o600


def test_too_many_requests_wait():
    now = [0.0]
    limiter = Limiter(rate=2, burst=3, clock=lambda: now[0])
    assert [limiter.allow("a") for _ in range(4)] == [True, True, True, False]
    assert limiter.allow("b")
    now[0] = 1.0
    assert [limiter.allow("a") for _ in range(3)] == [True, True, False]


def test_guessing_keys_is_slowed_down(tmp_path):
    folder = gallery(tmp_path / "set", tmp_path / "ws", known=0, unknown=1)
    with served(opened(folder, tmp_path / "ws")) as serving:
        caller = Caller(serving)
        found = [caller.call("GET", f"/enter?key={i}")[0] for i in range(120)]
        assert set(found) == {403, 429}
    assert web.is_loopback("127.0.0.1")
    assert not web.is_loopback("10.0.0.1")
