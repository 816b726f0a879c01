"""Playing a review: known truths answer through the real queue. Test data, never people's judgement."""

from __future__ import annotations

import hashlib
import itertools
import random

from genepool import dataset, origin, review, scan, store


def controls(n: int, tag: str = "control") -> dict[str, str]:
    """Digests of n human and n machine-made controls that no file has."""
    return {
        hashlib.sha256(f"{tag}{truth}{i}".encode()).hexdigest(): truth
        for truth in ("human", "ai")
        for i in range(n)
    }


class Table:
    """A set, scanned and settled, and the queue over it."""

    def __init__(self, data, space, config, known=None):
        opened = dataset.open(data)
        self.place = store.workspace_for(opened, space)
        self.catalogue = scan.scan(opened, self.place, config=config)
        self.origins = origin.settle(self.catalogue, self.place, config)
        self.known = dict(known or {})
        # The moments of a review, one second apart: tests do not depend on the clock.
        self.clock = itertools.count(1_700_000_000).__next__

    def queue(self, *, only_controls=False, overlap=0.1):
        mixture = review.Mixture(only_controls=only_controls, overlap=overlap)
        return review.queue(
            self.place, self.catalogue, self.origins, controls=self.known, mixture=mixture, clock=self.clock
        )

    def qualify(self, reviewer, recalls=(1.0, 1.0), seed=0):
        """Answer every control, right with these probabilities."""
        queue, rng = self.queue(only_controls=True), random.Random(seed)
        while asked := queue.next(reviewer, 50):
            for question in asked:
                queue.answer(
                    question.token, say(self.known[question.sha256], recalls, rng), reviewer, seconds=2.0
                )

    def look(self, reviewer, truth, *, at_most=10**9, recalls=(1.0, 1.0), seed=1, until=lambda: False):
        """Answer questions as this reviewer, by digest → truth; how many were answered."""
        queue, rng, done = self.queue(), random.Random(seed), 0
        while done < at_most and not until() and (asked := queue.next(reviewer, 1)):
            digest = asked[0].sha256
            answer = say({**truth, **self.known}[digest], recalls, rng)
            queue.answer(asked[0].token, answer, reviewer, seconds=2.0)
            done += 1
        return done


def say(truth, recalls, rng):
    """What a reviewer with these recalls says to a picture of this truth."""
    right = rng.random() < recalls[0 if truth == "human" else 1]
    return truth if right else "ai" if truth == "human" else "human"
