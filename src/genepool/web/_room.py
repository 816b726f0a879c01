"""What the pages show: one set's queue, pairs, pictures and evidence, opened once and held by the server."""

from __future__ import annotations

import contextlib
import os
import threading
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from genepool import review
from genepool.errors import GenepoolError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from genepool.config import Config
    from genepool.prevalence import Certificate, Planning
    from genepool.store import Catalogue, Workspace

__all__ = ["Room", "open_room"]

_CACHE = 96 * 1024 * 1024
_COMPARED = 40
"""Images of the set that are compared: a random sample stands for all."""


_PATIENCE = 2.0
"""Seconds for which the Board's first visitor waits for the judges."""
_AT_ONCE = 50_000
"""Sets up to this size get their certificate while the page waits."""
_SHOWN = ("width", "height", "format", "size", "c2pa", "detector", "logit", "abstained", "evidence")


def _step_back() -> None:
    """Renditions are made ahead of need: on a busy machine verdicts go first (a thread's niceness, Linux)."""
    with contextlib.suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 5)


@dataclass(slots=True)
class Room:
    """One set under review.

    Attributes:
        workspace: Where everything is kept.
        catalogue: The set.
        origins: What is settled about it.
        queue: Questions.
        pairs: Pairs to compare.
        ladder: The frozen ladder.
        pictures: Where images are found.
        recorder: Writes verdicts into the log.
        config: Policy and key.
        validator: Asks and certifies.
    """

    workspace: Workspace
    catalogue: Catalogue
    origins: pa.Table
    queue: review.ReviewQueue
    pairs: review.PairQueue
    ladder: review.Ladder
    pictures: review.Pictures
    recorder: review.Recorder
    config: Config
    validator: review.HumanInLoopValidator
    _cache: OrderedDict[str, bytes] = field(default_factory=OrderedDict)
    _size: int = 0
    _guard: threading.Lock = field(default_factory=threading.Lock)
    _certified: tuple[int, Certificate | None] = (-1, None)
    _planned: tuple[int, Planning] | None = None
    _judged: tuple[int, review.Judges | str] = (-1, "")
    _making: dict[str, Any] = field(default_factory=dict)
    _workers: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(2, "genepool-rendition", _step_back)
    )

    def close(self) -> None:
        """Write the last verdicts into the log and let go of the files."""
        self._workers.shutdown(wait=True, cancel_futures=True)
        self.recorder.stop()
        self.queue.record.close()

    def prepare(self, digest: str) -> Any:
        """Begin to make a rendition; the future gives its bytes."""
        with self._guard:
            if (held := self._cache.get(digest)) is not None:
                done: Future[bytes] = Future()
                done.set_result(held)
                return done
            if digest not in self._making:
                self._making[digest] = self._workers.submit(self._render, digest)
            return self._making[digest]

    def rendition(self, digest: str) -> bytes:
        """The JPEG that stands for an image.

        Raises:
            SourceError: It cannot be read.
        """
        with self._guard:
            if (held := self._cache.get(digest)) is not None:
                self._cache.move_to_end(digest)
                return held
        found: bytes = self.prepare(digest).result()
        return found

    def _render(self, digest: str) -> bytes:
        try:
            with self._guard:
                held = self._cache.get(digest)
            made = held if held is not None else review.render(self.pictures.data(digest))
            with self._guard:
                if digest not in self._cache:
                    self._cache[digest] = made
                    self._size += len(made)
                while self._size > _CACHE and len(self._cache) > 1:
                    _, old = self._cache.popitem(last=False)
                    self._size -= len(old)
            return made
        finally:
            with self._guard:
                self._making.pop(digest, None)

    def certificate(self) -> Certificate | None:
        """The certificate as of the verdicts so far; None while a very large set's is computed."""
        verdicts = self.queue.record.count()
        with self._guard:
            at, known = self._certified
            if at == verdicts:
                return known
            running = self._making.get("certificate")
        if self.catalogue.n <= _AT_ONCE:
            return self._certify(verdicts)
        if running is None:
            with self._guard:
                self._making["certificate"] = self._workers.submit(self._certify, verdicts)
        return known

    def _certify(self, verdicts: int) -> Certificate:
        try:
            found = self.validator.certificate(self.catalogue, self.origins)
            with self._guard:
                self._certified = (verdicts, found)
            return found
        finally:
            with self._guard:
                self._making.pop("certificate", None)

    def planning(self) -> Planning | None:
        """The planning table, with the reviewers measured so far; None for very large sets."""
        from genepool.prevalence import ReviewedSet

        if self.catalogue.n > _AT_ONCE:
            return None
        verdicts, policy = self.queue.record.count(), self.config.policy
        if self._planned is None or self._planned[0] != verdicts:
            reviewed = ReviewedSet.of(self.catalogue, self.origins, self.workspace)
            self._planned = verdicts, reviewed.planning(floor=policy.human_ratio, alpha=policy.alpha)
        return self._planned[1]

    # ---------------------------------------------------------------------------------- evidence

    def evidence(self, digest: str) -> dict[str, Any]:
        """All that is known about an image, for a person who has judged it."""
        found = self.pictures.find(digest)
        if found is None:
            return {"title": "nothing is known about this image", "facts": [], "reasons": []}
        catalogue, row, uri = found
        facts = _facts(catalogue, row)
        reasons: list[str] = []
        title = "a control image"
        if catalogue is self.catalogue:
            origin = self.origins.slice(row, 1).to_pylist()[0]
            title, reasons = _origin(origin)
            facts = [*facts, ("p(human)", f"{origin['p_human']:.2f}")]
        return {"title": title, "uri": uri, "facts": facts, "reasons": reasons}

    def judges(self, *, wait: bool = False) -> review.Judges | str | None:
        """What people, the proxy and published models say about the compared images, as of the votes so far.

        It is worked out beside the pages: loading a published model may take a while.

        Args:
            wait: Do it now.

        Returns:
            The judges, or what went wrong; None while they are asked for the first time.
        """
        votes = len(self.queue.record.votes())
        with self._guard:
            at, known = self._judged
            if at == votes:
                return known
            running = self._making.get("judges")
        if wait:
            return self._judge(votes)
        if running is None:
            with self._guard:
                running = self._making["judges"] = self._workers.submit(self._judge, votes)
        if at >= 0:
            return known
        # Without published models it takes a moment only: the first visitor need not come twice.
        with contextlib.suppress(TimeoutError):
            found: review.Judges | str = running.result(_PATIENCE)
            return found
        return None

    def _judge(self, votes: int) -> review.Judges | str:
        before = self._judged[1]
        found: review.Judges | str
        try:
            found = review.judge_images(
                self.queue.record,
                self.ladder,
                self.pictures,
                self.pairs.images,
                embedder=self.config.diversity.embedder,
                models=self.config.review.preferences,
                workspace=self.workspace,
                captions=review.captions_of(self.catalogue, self.pairs.images),
                command=f"genepool review {self.catalogue.dataset.uri}",
                before=before if isinstance(before, review.Judges) else None,
            )
        except GenepoolError as error:
            found = error.message
        finally:
            with self._guard:
                self._making.pop("judges", None)
        with self._guard:
            self._judged = (votes, found)
        return found


def _origin(row: Mapping[str, Any]) -> tuple[str, list[str]]:
    import orjson

    try:
        reasons = [str(r) for r in orjson.loads(row["reasons"] or "[]")]
    except orjson.JSONDecodeError:
        reasons = []
    return f"{row['origin']} · {row['tier']} · {row['status']}", reasons


def _facts(catalogue: Catalogue, row: int) -> list[tuple[str, str]]:
    """Columns of one image that a person can read."""
    import orjson

    wanted = [name for name in _SHOWN if name in catalogue.columns]
    values = catalogue.table(wanted).slice(row, 1).to_pylist()[0]
    facts = [
        ("file", f"{values['format']}, {values['width']} × {values['height']}, {values['size']:,} bytes")
    ]
    if values.get("c2pa"):
        facts.append(("C2PA", str(values["c2pa"])))
    if values.get("logit") is not None:
        facts.append(("detector", f"{values.get('detector')}: logit of AI {values['logit']:+.2f}"))
    elif values.get("abstained"):
        facts.append(("detector", f"abstained: {values['abstained']}"))
    try:
        marks = orjson.loads(values.get("evidence") or "[]")
    except orjson.JSONDecodeError:
        marks = []
    facts += [
        (str(m.get("kind", "mark")), str(m.get("detail") or m.get("model") or m.get("claim"))) for m in marks
    ]
    return facts


def open_room(
    workspace: Workspace,
    catalogue: Catalogue,
    origins: pa.Table,
    config: Config,
    *,
    controls: Mapping[str, Catalogue] | None = None,
    ladder: str | Path | None = None,
    mixture: review.Mixture | None = None,
    log_every: float = 2.0,
) -> Room:
    """Open a set for review.

    Args:
        workspace: Where everything is kept.
        catalogue: The set.
        origins: What `genepool.origin.settle` returned for it.
        config: Policy and key.
        controls: Sets of control images: ``human`` and ``ai``.
        ladder: Folder of the user's own ladder; None: the packaged one.
        mixture: Shares of controls, repeats and overlap.
        log_every: Seconds between batches for the log.

    Raises:
        UsageError: A control of both kinds, or an unknown kind.
        IntegrityError: The ladder was altered.
    """
    truths: dict[str, str] = {}
    for truth, held in (controls or {}).items():
        for digest in held.table(["sha256"]).column("sha256").to_pylist():
            if truths.setdefault(digest.hex(), truth) != truth:
                raise UsageError(f"controls: {digest.hex()[:16]}… is among the human and the machine-made")
    steps = review.load_ladder(ladder, workspace)
    validator = review.HumanInLoopValidator(workspace.root, config=config)
    queue = validator.questions(catalogue, origins, controls=truths, mixture=mixture, keep=True)
    sample = review.order(queue.draw.seed, catalogue.n)[:_COMPARED]
    digests = origins.column("sha256").take(_array(sample)).to_pylist()
    return Room(
        workspace=workspace,
        catalogue=catalogue,
        origins=origins,
        queue=queue,
        pairs=review.PairQueue(queue.record, [d.hex() for d in digests], steps.names),
        ladder=steps,
        pictures=review.Pictures(
            [catalogue, *(controls or {}).values()], {r.sha256: r.path for r in steps.rungs}
        ),
        recorder=review.Recorder(workspace, queue, config, every=log_every),
        config=config,
        validator=validator,
    )


def _array(rows: Any) -> Any:
    import pyarrow as pa

    return pa.array(rows)
