"""Which two images to compare next: those about which a vote says most."""

from __future__ import annotations

import random
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from genepool.errors import UsageError
from genepool.review._preference import fit_votes
from genepool.store import ReviewRecord, Vote

__all__ = ["Pair", "PairQueue"]

_REFIT = 20
_LADDER = 0.6
_OPEN = 100_000
_OUTCOMES = ("a", "b", "tie", "both_bad")


@dataclass(frozen=True, slots=True)
class Pair:
    """Two images side by side; ``a`` stands on the left. Sides are drawn by the system's random source."""

    token: str
    a: str
    b: str
    reviewer: str


class PairQueue:
    """Chooses pairs actively and keeps votes.

    The image whose strength is least known comes next, against the opponent for which the outcome is least
    certain: the expected information of a vote on a difference d is its variance, which is largest at d = 0
    (F. Wauthier, M. Jordan, N. Jojic, ICML 2013, discuss such schemes). Three in five pairs are against the
    ladder. Before anybody voted, pairs are drawn at random.

    Args:
        record: The workspace's review file.
        images: Digests of a random sample of the set.
        rungs: The ladder, digest → name.
        clock: Unix seconds now.
    """

    def __init__(
        self,
        record: ReviewRecord,
        images: Sequence[str],
        rungs: Mapping[str, str],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.record, self.images, self.rungs = record, tuple(dict.fromkeys(images)), dict(rungs)
        self._clock = clock
        self._lock = threading.Lock()
        self._dice = random.SystemRandom()
        self._open: dict[str, Pair] = {}
        self._votes = record.votes()
        self._times = Counter(d for v in self._votes for d in (v.a, v.b))
        self._theta: dict[str, float] = {}
        self._variance: dict[str, float] = {}
        self._fitted = -1

    def next(self, reviewer: str, n: int = 1) -> list[Pair]:
        """The next pairs for a person.

        Returns:
            ``n`` pairs; empty where the set and the ladder hold too few images.
        """
        with self._lock:
            self._refit()
            found = []
            for _ in range(n):
                chosen = self._choose(reviewer)
                if chosen is None:
                    break
                a, b = self._dice.sample(chosen, 2)
                pair = Pair(secrets.token_urlsafe(16), a, b, reviewer)
                self._open[pair.token] = pair
                found.append(pair)
            while len(self._open) > _OPEN:
                del self._open[next(iter(self._open))]
            return found

    def pair(self, token: str) -> Pair:
        """The pair that a token names.

        Raises:
            UsageError: There is none.
        """
        if (pair := self._open.get(token)) is None:
            raise UsageError("review: this pair is not open any more", hint="reload the page")
        return pair

    def vote(
        self,
        token: str,
        outcome: str,
        reviewer: str,
        *,
        nonce: str = "",
        seconds: float | None = None,
        session: str = "",
    ) -> Vote:
        """Keep a vote; it is on the disk when this returns.

        Raises:
            UsageError: Not this person's pair, or no such outcome.
            WorkspaceError: It cannot be written: then it is *not* kept.
        """
        pair = self.pair(token)
        if pair.reviewer != reviewer:
            raise UsageError("review: this pair was put to somebody else")
        if outcome not in _OUTCOMES:
            raise UsageError(f"vote: expected one of {', '.join(_OUTCOMES)}, found {outcome!r}")
        vote = Vote(pair.a, pair.b, outcome, reviewer, self._clock(), seconds, session)  # type: ignore[arg-type]
        if self.record.add_vote(vote, nonce=nonce or token):
            with self._lock:
                self._votes.append(vote)
                self._times.update((vote.a, vote.b))
        return vote

    # ----------------------------------------------------------------------------------- private

    def _refit(self) -> None:
        if not self._votes or (self._fitted >= 0 and len(self._votes) - self._fitted < _REFIT):
            return
        fit = fit_votes(self._votes)
        self._theta = dict(zip(fit.items, fit.theta.tolist(), strict=True))
        self._variance = dict(zip(fit.items, np.diag(fit.covariance).tolist(), strict=False))
        self._fitted = len(self._votes)

    def _choose(self, reviewer: str) -> tuple[str, str] | None:
        done = {frozenset((v.a, v.b)) for v in self._votes if v.reviewer == reviewer}
        done |= {frozenset((p.a, p.b)) for p in self._open.values() if p.reviewer == reviewer}
        waiting = Counter(d for p in self._open.values() for d in (p.a, p.b))
        prior = 1 / 0.05  # an image without votes: the variance that the model's prior leaves it

        def unsure(digest: str) -> float:
            # Votes that came since the last fit, and pairs that are being looked at, count as well.
            fresh = waiting[digest] + self._times[digest]
            return self._variance.get(digest, prior) / (1 + fresh) + self._dice.random() * 1e-6

        images = sorted(self.images, key=unsure, reverse=True)
        if not images:
            images = sorted(self.rungs, key=unsure, reverse=True)
        for first in images[:20]:
            pools = [list(self.rungs), list(self.images)]
            if self._dice.random() > _LADDER:
                pools.reverse()
            for pool in pools:
                able = [d for d in pool if d != first and frozenset((d, first)) not in done]
                if able:
                    gap = {d: abs(self._theta.get(first, 0.0) - self._theta.get(d, 0.0)) for d in able}
                    return first, min(able, key=lambda d: gap[d] + self._dice.random() * 0.5)
        return None
