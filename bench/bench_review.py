"""Measure the review room: key to paint, ten reviewers at once, kill -9, a million images, one verdict.

Reviewers here are programs: they are named ``test:…``, live in workspaces of their own, count for nothing.
Run: ``python bench/bench_review.py [preference] [latency] [load] [kill] [million] [ack] [--quick]``; without
words, all.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from collections import Counter
from pathlib import Path

import numpy as np

QUICK = "--quick" in sys.argv


def quantile(values: list[float], q: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * q))]


def show(name: str, seconds: list[float]) -> None:
    ms = [1000 * s for s in seconds]
    line = f"median {statistics.median(ms):.1f} ms, p95 {quantile(ms, 0.95):.1f} ms, max {max(ms):.1f} ms"
    print(f"{name}: {line} (n = {len(ms)})", flush=True)


def make_set(folder: Path, count: int, width: int = 1184, height: int = 888) -> Path:
    """Photographs of about one megapixel: crops that scikit-image ships, enlarged, with fresh grain."""
    from PIL import Image
    from skimage import data

    folder.mkdir(parents=True, exist_ok=True)
    sources = [data.astronaut(), data.chelsea(), data.coffee(), data.rocket()]
    for i in range(count):
        rng = np.random.default_rng(i)
        source = sources[i % 4]
        y, x = (int(rng.integers(0, side - 240)) for side in source.shape[:2])
        image = Image.fromarray(source[y : y + 240, x : x + 240]).resize(
            (width, height), Image.Resampling.BICUBIC
        )
        grain = rng.normal(0, 4, (height, width, 1))
        pixels = np.clip(np.asarray(image, np.float64) + grain, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{i:04}.jpg", quality=92)
    return folder


class Server:
    """``genepool review`` in a process of its own."""

    def __init__(self, data: Path, space: Path, users: list[str], *more: str) -> None:
        arguments = [f"--user={user}" for user in users]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "genepool", "review", str(data), "--workspace", str(space), "--no-browser",
             "--workers", "1", *arguments, *more],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        self.links = {}
        assert self.process.stdout
        for _ in users or [""]:
            line = self.process.stdout.readline().strip()
            match = re.fullmatch(r"(?:(.*): )?(http://\S+)", line)
            assert match, f"the room did not start: {line!r}"
            self.links[match[1] or ""] = match[2]
        self.address = urllib.parse.urlsplit(next(iter(self.links.values())))

    def stop(self) -> None:
        """End it as Ctrl-C does."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)
        self.close()

    def kill(self) -> None:
        """End it as a power cut does."""
        self.process.kill()
        self.process.wait()
        self.close()

    def close(self) -> None:
        """Let go of its output."""
        if self.process.stdout:
            self.process.stdout.close()


class Client:
    """A reviewer's browser, reduced to HTTP over one connection."""

    def __init__(self, server: Server, user: str) -> None:
        self.link = server.connection = http.client.HTTPConnection(
            server.address.hostname, server.address.port
        )
        key = urllib.parse.parse_qs(urllib.parse.urlsplit(server.links[user]).query)["key"][0]
        for _ in range(100):
            try:
                self.link.connect()
                break
            except ConnectionRefusedError:
                time.sleep(0.05)
        body = urllib.parse.urlencode({"key": key, "name": user})
        self.link.request("POST", "/enter", body, {"content-type": "application/x-www-form-urlencoded"})
        answer = self.link.getresponse()
        answer.read()
        assert answer.status == 303, answer.status
        self.cookie = answer.getheader("set-cookie", "").partition(";")[0]
        self.link.request("GET", "/decide", headers={"cookie": self.cookie})
        page = self.link.getresponse().read().decode()
        self.csrf = re.search(r'name="csrf" content="([^"]*)"', page)[1]  # type: ignore[index]

    def ask(self, path: str, body: dict) -> dict:
        """Post, and insist on success."""
        headers = {"cookie": self.cookie, "x-csrf-token": self.csrf, "content-type": "application/json"}
        self.link.request("POST", path, json.dumps(body), headers)
        answer = self.link.getresponse()
        data = answer.read()
        assert answer.status == 200, (answer.status, data[:200])
        return json.loads(data)

    def image(self, token: str) -> bytes:
        """Fetch a rendition."""
        self.link.request("GET", f"/image/{token}", headers={"cookie": self.cookie})
        return self.link.getresponse().read()


def latency(root: Path) -> None:
    """Key pressed to next image painted, in Chromium."""
    from playwright.sync_api import sync_playwright

    count = 40 if QUICK else 200
    server = Server(make_set(root / "set", count + 5), root / "ws", [], "--port", "0")
    with sync_playwright() as player:
        place = os.environ.get("CHROMIUM", "/usr/bin/chromium")
        browser = player.chromium.launch(executable_path=place, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(server.links[""])
        page.fill("#name", "test:latency")
        page.keyboard.press("Enter")
        page.wait_for_url("**/")
        page.goto(f"http://{server.address.netloc}/decide")
        page.wait_for_selector("body[data-shown]")
        page.evaluate("""() => {
            window.taken = [];
            let pressed = 0;
            addEventListener("keydown", (event) => { pressed = event.timeStamp; }, true);
            new MutationObserver(() => requestAnimationFrame(() => {
                const channel = new MessageChannel();
                channel.port1.onmessage = () => pressed && window.taken.push(performance.now() - pressed);
                channel.port2.postMessage(0);
            })).observe(document.body, {attributes: true, attributeFilter: ["data-shown"]});
        }""")
        dice = random.Random(1)
        for _ in range(count):
            page.wait_for_timeout(dice.uniform(200, 500))
            page.keyboard.press(dice.choice("hau"))
        page.wait_for_timeout(1500)
        taken = [t / 1000 for t in page.evaluate("window.taken")]
        assert page.get_attribute("body", "data-unsaved") == "0"
        browser.close()
    server.stop()
    show("key pressed → next image painted, 1 megapixel", taken)
    print(f"  verdicts in the store: {kept(root / 'ws')}", flush=True)


def kept(space: Path) -> int:
    from genepool.store import Verdicts, Workspace

    with Verdicts(Workspace(space)) as verdicts:
        return verdicts.count()


def load(root: Path) -> None:
    """Ten reviewers, five verdicts a second each, with their images."""
    from genepool.store import Verdicts, Workspace

    seconds = 8 if QUICK else 60
    users = [f"test:r{i}" for i in range(10)]
    server = Server(make_set(root / "set", 60 if QUICK else 3600, 160, 120), root / "ws", users)
    taken: list[float] = []
    sent: Counter[str] = Counter()
    problems: list[str] = []
    guard = threading.Lock()
    clients = [Client(server, user) for user in users]
    sys.setswitchinterval(0.0005)  # ten clients in one interpreter must not wait for each other

    def work(number: int) -> None:
        client, dice = clients[number], random.Random(number)
        begin = time.perf_counter() + number * 0.02
        for i in range(seconds * 5):
            time.sleep(max(0.0, begin + i * 0.2 - time.perf_counter()))
            try:
                items = client.ask("/api/next", {"n": 8})["items"]
                if not items:
                    return
                token = items[0]["token"]
                client.image(items[-1]["token"])
                nonce = f"{number:02}-{i:06}"
                body = {"token": token, "answer": dice.choice(["human", "ai"]), "nonce": nonce, "sequence": i,
                        "seconds": 1.0}  # fmt: skip
                start = time.perf_counter()
                client.ask("/api/verdict", body)
                with guard:
                    taken.append(time.perf_counter() - start)
                    sent[token] += 1
            except (OSError, AssertionError, http.client.HTTPException) as error:
                problems.append(repr(error))
                return

    threads = [threading.Thread(target=work, args=(i,)) for i in range(10)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall = time.perf_counter() - start
    server.stop()
    with Verdicts(Workspace(root / "ws")) as verdicts:
        found = Counter(v.token for v in verdicts.all())
    show(
        f"10 reviewers, {len(taken) / wall:.1f} verdicts a second for {wall:.0f} s, verdict acknowledged",
        taken,
    )
    lost, doubled = sum((sent - found).values()), sum((found - sent).values())
    print(f"  {sum(sent.values())} acknowledged, {lost} lost, {doubled} too many, problems: {problems[:3]}")
    print(f"  in the log: {logged(root / 'ws')}", flush=True)


def logged(space: Path) -> int:
    from genepool import provenance
    from genepool.store import Workspace

    return len(provenance.find_verdicts(Workspace(space)))


def kill(root: Path) -> None:
    """Kill -9 at random moments: what was acknowledged is there, once, and in the log, once."""
    from genepool import review
    from genepool.store import ReviewRecord, Workspace

    rounds = 3 if QUICK else 20
    data, space = make_set(root / "set", 400, 96, 72), root / "ws"
    acknowledged: list[tuple[str, str]] = []
    dice = random.Random(5)
    for turn in range(rounds):
        server = Server(data, space, ["test:k"])
        client = Client(server, "test:k")
        timer = threading.Timer(dice.uniform(0.05, 1.5), server.process.kill)
        timer.start()
        i = 0
        try:
            while True:
                items = client.ask("/api/next", {"n": 8})["items"]
                if not items:  # all asked: answer the last one again and again, as a changed mind
                    break
                answer = dice.choice(["human", "ai", "unsure"])
                body = {"token": items[0]["token"], "answer": answer, "nonce": f"{turn:03}-{i:05}"}
                client.ask("/api/verdict", body)
                acknowledged.append((items[0]["token"], answer))
                i += 1
        except (OSError, AssertionError, http.client.HTTPException):
            pass
        timer.join()
        server.kill()
    with ReviewRecord(Workspace(space)) as record:
        found = Counter((v.token, v.answer) for v in record.all())
        review.record_in_log(Workspace(space), record)
        total = record.count()
        sound = record.check() == []
    lost = sum((Counter(acknowledged) - found).values())
    print(f"kill -9 × {rounds}: {len(acknowledged)} acknowledged, {lost} lost; {total} kept; sound: {sound}")
    print(f"  in the log, each once: {logged(space)}", flush=True)


def million(root: Path) -> None:
    """A queue of a million images: opened, first questions asked, Queue page's numbers."""
    import pyarrow as pa

    from genepool import review
    from genepool.store import Workspace

    n = 1_000_000
    raw = np.random.default_rng(0).bytes(32 * n)
    digests = pa.FixedSizeBinaryArray.from_buffers(pa.binary(32), n, [None, pa.py_buffer(raw)])
    human, ai = np.arange(n) % 10 == 0, np.arange(n) % 10 == 1
    origin = pa.array(np.where(human, "human_made", np.where(ai, "synthetic", "unknown")))
    origins = pa.table({"sha256": digests, "human": human, "ai": ai, "origin": origin})

    class Held:
        uri = "memory:bench"

    class Catalogue:
        dataset, columns, n = Held(), (), 0

    space = Workspace(root / "ws").create()
    for name in ("drawn anew", "opened again"):
        start = time.perf_counter()
        queue = review.queue(space, Catalogue(), origins, keep=True)  # type: ignore[arg-type]
        asked = queue.next("test:m", 8)
        seconds = time.perf_counter() - start
        queue.progress("test:m")
        total = time.perf_counter() - start
        queue.record.close()
        print(f"queue of {n:,} images, {name}: {seconds:.2f} s to the first {len(asked)} questions, "
              f"{total:.2f} s with its progress", flush=True)  # fmt: skip


def ack(root: Path) -> None:
    """One verdict kept by the server: on the disk, and on a memory disk (what is our own part)."""
    import pyarrow as pa

    from genepool import review
    from genepool.store import Workspace

    n = 3000
    raw = np.random.default_rng(0).bytes(32 * n)
    digests = pa.FixedSizeBinaryArray.from_buffers(pa.binary(32), n, [None, pa.py_buffer(raw)])
    none = np.zeros(n, bool)
    origins = pa.table({"sha256": digests, "human": none, "ai": none, "origin": pa.array(["unknown"] * n)})

    class Held:
        uri = "memory:bench"

    class Catalogue:
        dataset, columns, n = Held(), (), 0

    places = [("on the disk", root)]
    memory = Path("/dev/shm")
    held = tempfile.TemporaryDirectory(dir=memory) if memory.is_dir() else None
    if held:
        places.append(("on a memory disk", Path(held.name)))
    for name, place in places:
        queue = review.queue(Workspace(place / "ack").create(), Catalogue(), origins, keep=True)  # type: ignore[arg-type]
        taken = []
        for i in range(300 if QUICK else 1500):
            token = queue.next("test:a", 8)[0].token
            start = time.perf_counter()
            queue.answer(token, "human", "test:a", nonce=f"{i:08}")
            taken.append(time.perf_counter() - start)
            if i % 100 == 99:
                queue.record.checkpoint()  # the room does this in the background
        queue.record.close()
        show(f"one verdict kept, {name}", taken)
    if held:
        held.cleanup()


def preference(root: Path) -> None:
    """Intervals where raters differ, and how often a proxy that knows nothing is let through."""
    import hashlib

    from genepool.errors import MeasureError
    from genepool.review import learn_proxy, preference_scores
    from genepool.review._preference import _share
    from genepool.stats import clopper_pearson
    from genepool.store import Vote

    del root
    runs = 20 if QUICK else 120
    names = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(52)]
    taste = np.random.default_rng(9).normal(0, 1, 4000)

    def vote(rng, theta, reviewer, tie=0.3):
        i, j = rng.choice(len(theta), 2, replace=False)
        half = np.exp((theta[i] - theta[j]) / 2)
        chances = np.array([half, 1 / half, 2 * tie])
        outcome = ["a", "b", "tie"][rng.choice(3, p=chances / chances.sum())]
        return Vote(names[i], names[j], outcome, reviewer, 0.0)

    for raters, spread in ((1, 0.0), (8, 0.0), (8, 0.8), (15, 0.8)):
        rng, hits, total = np.random.default_rng(raters), 0, 0
        for _ in range(runs):
            theta, votes = rng.normal(0, 1, 16), []
            for r in range(raters):
                own = theta + rng.normal(0, spread, 16)
                votes += [vote(rng, own, f"r{r}") for _ in range(480 // raters)]
            report = preference_scores(votes, {name: name[:4] for name in names[:6]})
            for i in range(6, 16):
                gaps = (theta[i] - theta[:6])[:, None] + taste * spread * 2**0.5
                true = 10 * _share(gaps, 0.3)[0].mean()
                score = report.scores[names[i]]
                hits, total = hits + (score.lower <= true <= score.upper), total + 1
        low, high = clopper_pearson(hits, total)
        words = f"{hits / total:.1%} of {total} true scores covered [{low:.3f}, {high:.3f}]"
        print(f"preference, {raters} raters, tastes ± {spread}: {words}", flush=True)
    rng, passed, tries = np.random.default_rng(1), 0, 5 * runs
    for _ in range(tries):
        features = {name: rng.normal(0, 1, 6) for name in names}
        theta = rng.normal(0, 1.5, 52)
        try:
            learn_proxy([vote(rng, theta, "r") for _ in range(400)], features)
            passed += 1
        except MeasureError:
            pass
    low, high = clopper_pearson(passed, tries)
    words = f"let through {passed} of {tries} times [{low:.3f}, {high:.3f}]"
    print(f"proxy on features that know nothing: {words}", flush=True)


def main() -> None:
    parts = {
        "preference": preference,
        "ack": ack,
        "million": million,
        "latency": latency,
        "load": load,
        "kill": kill,
    }
    wanted = [word for word in sys.argv[1:] if not word.startswith("-")] or list(parts)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}", flush=True)
    for word in wanted:
        with tempfile.TemporaryDirectory(prefix="genepool-bench-") as root:
            os.environ["GENEPOOL_HOME"] = str(Path(root) / "home")
            parts[word](Path(root))


if __name__ == "__main__":
    main()
