"""The server dies at any moment: what it acknowledged is there, once, and reaches the log, once."""

from __future__ import annotations

import http.client
import subprocess
import sys
import threading
import types
from collections import Counter

from genepool import provenance, review
from genepool.store import ReviewRecord, Workspace
from support.rooms import Caller, gallery


def start(folder, space, users):
    command = [sys.executable, "-m", "genepool", "review", str(folder), "--workspace", str(space)]
    process = subprocess.Popen(
        [*command, "--no-browser", "--workers", "1", *(f"--user={user}" for user in users)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    links = dict(process.stdout.readline().strip().split(": ") for _ in users)
    return process, links


def test_kill_9_in_the_middle_of_three_reviewers(tmp_path):
    folder, space = gallery(tmp_path / "set", tmp_path / "ws", known=3, unknown=90), tmp_path / "ws"
    users = ["test:r0", "test:r1", "test:r2"]
    acknowledged: list[tuple[str, str]] = []

    def work(serving, user, enough):
        try:
            caller = Caller(serving).enter(serving.links[user])
            while True:
                items = caller.ask("/api/next", {"n": 4})["items"]
                if not items:
                    return
                for item in items:
                    nonce = f"{user}-{item['token']}"
                    body = {"token": item["token"], "answer": "human", "nonce": nonce}
                    caller.ask("/api/verdict", body)
                    caller.ask("/api/verdict", body)  # a lost answer makes a browser send again
                    acknowledged.append((item["token"], user))
                if len(acknowledged) >= enough:
                    serving.process.kill()
        except (OSError, http.client.HTTPException, AssertionError):
            return

    for enough in (10, 30):
        process, links = start(folder, space, users)
        serving = types.SimpleNamespace(
            url=next(iter(links.values())).partition("/enter")[0], links=links, process=process
        )
        threads = [threading.Thread(target=work, args=(serving, user, enough)) for user in users]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(300)
        process.kill()
        process.wait()
        process.stdout.close()
    with ReviewRecord(Workspace(space)) as record:
        found = Counter((v.token, v.reviewer) for v in record.all())
        assert record.check() == []
        review.record_in_log(Workspace(space), record)
        total = record.count()
    assert len(acknowledged) >= 30
    assert set(acknowledged) <= set(found)
    assert max(found.values()) == 1
    assert len(provenance.find_verdicts(Workspace(space))) == total
