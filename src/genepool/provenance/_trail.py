"""`Trail`: everything that the readable logs say about images, looked up by digest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from genepool.config import Config
from genepool.errors import LogError
from genepool.provenance._discover import find_logs
from genepool.provenance._fold import CLASSES, UNBOUNDED, LogState, read_log
from genepool.provenance._heads import check_head, pin_head
from genepool.provenance._keys import load_public
from genepool.provenance._ledger import Ledger
from genepool.provenance._lineages import CohortRecord, ModelRecord, gather_cohorts, gather_models
from genepool.provenance._looks import LookIndex
from genepool.provenance._sidecar import Sidecar
from genepool.provenance._trust import Trust, load_trust
from genepool.records import Attestation, OriginClass
from genepool.store import Workspace

__all__ = ["Index", "Matches", "Trail", "as_digests", "open_trail", "read_trail"]

_HUMAN = np.array([OriginClass(value).is_human for value in CLASSES])
_AI = np.array([OriginClass(value).is_ai for value in CLASSES])
BY_SHA, BY_PIXEL, BY_LOOKS = 0, 1, 2
_MATCHED: tuple[Literal["sha256", "pixel", "phash"], ...] = ("sha256", "pixel", "phash")


@dataclass(frozen=True, slots=True)
class Matches:
    """Claims that match images, as parallel arrays, ordered by image.

    ``image`` and ``claim`` are positions; ``by`` is 0 for equal bytes, 1 for an equal raster, 2 for looks.
    """

    image: NDArray[np.int64]
    claim: NDArray[np.int64]
    by: NDArray[np.int8]


class Trail:
    """What the logs say, as of their present checkpoints.

    Attributes:
        models: Name → `ModelRecord`.
        cohorts: Name → `CohortRecord`.
        problems: Sentences about what did not count and why (untrusted or revoked keys, broken seals …).
        logs: The logs that were read, audited.
    """

    def __init__(self, states: Sequence[LogState], trust: Trust, problems: Sequence[str] = ()) -> None:
        found = list(problems)
        self.logs = tuple(states)
        self._trust = trust
        self._details: dict[bytes, dict[str, object]] | None = None
        self._looks: tuple[LookIndex, NDArray[np.int64]] | None = None
        revoked = _revoked(states, trust, found)
        trusted = {n: _trusted_batches(state, trust, revoked, found) for n, state in enumerate(states)}
        for state in states:
            found.extend(f"log {state.origin}: {problem}" for problem in state.problems)
        self._columns(trusted)
        self.cohorts: Mapping[str, CohortRecord] = gather_cohorts(states, trusted, found)
        self.models: Mapping[str, ModelRecord] = gather_models(states, trusted, self.cohorts, found)
        self.problems: tuple[str, ...] = tuple(dict.fromkeys(found))

    def __repr__(self) -> str:
        return f"Trail({len(self.logs)} logs, {len(self)} attestations, {len(self.problems)} problems)"

    def __len__(self) -> int:
        """Attestations that count: live and sealed."""
        return len(self._row)

    def _columns(self, trusted: Mapping[int, frozenset[int]]) -> None:
        """Lay the live claims of all logs side by side."""
        logs, rows, shas, pixels, good, origins = [], [], [], [], [], []
        for number, state in enumerate(self.logs):
            claims = state.claims
            live = np.flatnonzero(claims.attested)
            batches = np.zeros(len(state.batches) + 1, np.bool_)
            batches[list(trusted[number])] = True
            logs.append(np.full(len(live), number, np.int32))
            rows.append(live)
            shas.append(claims.sha[live])
            pixels.append(claims.pixel[live])
            origins.append(claims.origin[live])
            good.append(batches[claims.batch[live]])
        self._log = _joined(logs, np.int32)
        self._row = _joined(rows, np.int64)
        self._sha = np.concatenate([np.zeros((0, 32), np.uint8), *shas])
        self._pixel = np.concatenate([np.zeros((0, 32), np.uint8), *pixels])
        self.origin_code = _joined(origins, np.int8)
        # An AI mark counts whoever made it; any other claim needs a trusted key.
        self.is_ai = _AI[self.origin_code]
        self.is_trusted = _joined(good, np.bool_) | self.is_ai
        self.is_human = _HUMAN[self.origin_code]
        self._by_sha = Index(self._sha)
        self._by_pixel = Index(self._pixel)

    # ------------------------------------------------------------------------------------- look-up

    def match(self, sha256: NDArray[np.uint8], pixel: NDArray[np.uint8]) -> Matches:
        """Claims about images, matched by bytes, else by raster.

        Args:
            sha256: ``(n, 32)`` uint8.
            pixel: ``(n, 32)`` uint8.
        """
        image, claim = self._by_sha.pairs(sha256)
        other, likeness = self._by_pixel.pairs(pixel)
        if len(other):
            width = max(1, len(self))
            fresh = ~np.isin(other * width + likeness, image * width + claim)
            other, likeness = other[fresh], likeness[fresh]
        by = np.repeat(np.array([BY_SHA, BY_PIXEL], np.int8), [len(image), len(other)])
        image, claim = np.concatenate([image, other]), np.concatenate([claim, likeness])
        order = np.argsort(image, kind="stable")
        return Matches(image[order], claim[order], by[order])

    def recover(self, phash: NDArray[np.uint8]) -> Matches:
        """Claims about images that look the same, for images that neither bytes nor raster find.

        Args:
            phash: ``(n, 32)`` uint8 perceptual hashes.
        """
        index, claims = self._look_index()
        image, known, _ = index.nearest(phash)
        return Matches(image, claims[known], np.full(len(image), BY_LOOKS, np.int8))

    def _look_index(self) -> tuple[LookIndex, NDArray[np.int64]]:
        """Looks of all live claims whose detail is still there, and which claim each belongs to."""
        if self._looks is None:
            hashes, claims = [], []
            for claim in range(len(self)):
                state, row = self.logs[int(self._log[claim])], int(self._row[claim])
                look = self._detail(state.claims.detail[row].tobytes()).get("phash")
                if isinstance(look, str) and len(look) == 64:
                    hashes.append(bytes.fromhex(look))
                    claims.append(claim)
            self._looks = LookIndex(as_digests(hashes)), np.array(claims, np.int64)
        return self._looks

    def attestations(
        self, sha256: Sequence[bytes], pixel: Sequence[bytes], phash: Sequence[bytes | None] | None = None
    ) -> list[tuple[Attestation, ...]]:
        """What keys claim about each image.

        Args:
            sha256: SHA-256 of each image's bytes, 32 bytes each.
            pixel: Pixel hash of each image, in the same order; empty: match by bytes only.
            phash: Perceptual hash of each image (None: it has none), in the same order; an image that neither
                bytes nor raster find is looked for by it. None: not done.

        Returns:
            One tuple an image, in the order given; empty where nothing is claimed.
        """
        shas = as_digests(sha256)
        pixels = as_digests(pixel) if len(pixel) else np.zeros((0, 32), np.uint8)
        matches = self.match(shas, pixels)
        result: list[tuple[Attestation, ...]] = [()] * len(shas)
        claims = zip(matches.image.tolist(), matches.claim.tolist(), matches.by.tolist(), strict=True)
        for image, claim, by in claims:
            result[image] = (*result[image], self.attestation(claim, by))
        if phash is not None and len(self):
            lost = [at for at, look in enumerate(phash) if look and not result[at]]
            found = self.recover(as_digests([phash[at] or b"" for at in lost])) if lost else None
            for image, claim in zip(found.image.tolist(), found.claim.tolist(), strict=True) if found else ():
                result[lost[image]] = (*result[lost[image]], self.attestation(claim, BY_LOOKS))
        return result

    def attestation(self, claim: int, by: int) -> Attestation:
        """One claim as a record."""
        state = self.logs[int(self._log[claim])]
        row = int(self._row[claim])
        claims = state.claims
        trusted = bool(self.is_trusted[claim])
        batch = state.batches[int(claims.batch[row])]
        lo, hi = int(claims.lo[row]), int(claims.hi[row])
        # A stranger may say that an image is AI, but not that it is an early generation.
        believed = hi != UNBOUNDED and (not self.is_ai[claim] or self._trust.allows(batch.key.public))
        return Attestation(
            origin=CLASSES[claims.origin[row]],
            key=batch.key.id,
            trusted=trusted,
            matched_by=_MATCHED[by],
            cohort=claims.names[claims.cohort[row]],
            model=claims.names[claims.model[row]],
            generation=(lo, hi if believed else None),
            artist=self._artist(claims.detail[row].tobytes()),
            parents=claims.parents.get(int(claims.index[row]), ()),
            log=state.origin,
            index=int(claims.index[row]),
        )

    def count_cohorts(self, claims: NDArray[np.int64]) -> dict[str, int]:
        """Cohort → how many of these claims belong to it, largest first."""
        found: Counter[str] = Counter()
        for number, state in enumerate(self.logs):
            rows = self._row[claims[self._log[claims] == number]]
            codes, counts = np.unique(state.claims.cohort[rows], return_counts=True)
            for code, count in zip(codes.tolist(), counts.tolist(), strict=True):
                if code:
                    found[state.claims.names[code]] += count
        return dict(found.most_common())

    def members_of(self, cohort: str) -> NDArray[np.uint8]:
        """SHA-256 of every image that counts as a cohort's, ``(n, 32)`` uint8."""
        found = [np.zeros((0, 32), np.uint8)]
        for state in self.logs:
            claims = state.claims
            if cohort in claims.names:
                found.append(claims.sha[claims.attested & (claims.cohort == claims.names.index(cohort))])
        return np.concatenate(found)

    def _artist(self, det: bytes) -> str:
        return str(self._detail(det).get("artist", ""))

    def _detail(self, det: bytes) -> Mapping[str, object]:
        if self._details is None:
            self._details = {}
            for state in self.logs:
                self._details.update(Sidecar(Path(state.path).parent).load())
        return self._details.get(det, {})


class Index:
    """Equal digests found by their first eight bytes, then compared whole."""

    def __init__(self, digests: NDArray[np.uint8]) -> None:
        self._digests = digests
        keys = _keys(digests)
        self._order = np.argsort(keys, kind="stable")
        self._sorted = keys[self._order]

    def pairs(self, wanted: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """``(position in wanted, position in the index)`` of every pair of equal digests."""
        keys = _keys(wanted)
        start = np.searchsorted(self._sorted, keys, "left")
        count = np.searchsorted(self._sorted, keys, "right") - start
        image = np.repeat(np.arange(len(wanted)), count)
        within = np.arange(len(image)) - np.repeat(np.cumsum(count) - count, count)
        claim = self._order[np.repeat(start, count) + within]
        same = (self._digests[claim] == wanted[image]).all(axis=1)
        return image[same].astype(np.int64), claim[same].astype(np.int64)


def _keys(digests: NDArray[np.uint8]) -> NDArray[np.uint64]:
    return np.ascontiguousarray(digests[:, :8]).view("<u8").reshape(-1)


def _joined(parts: Sequence[NDArray[np.generic]], kind: type) -> NDArray[np.generic]:
    return np.concatenate([np.zeros(0, kind), *parts]).astype(kind)


def as_digests(digests: Sequence[bytes]) -> NDArray[np.uint8]:
    """32-byte digests as ``(n, 32)`` uint8."""
    return np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 32)


# ------------------------------------------------------------------------------------------------- trust


def _revoked(states: Sequence[LogState], trust: Trust, problems: list[str]) -> frozenset[bytes]:
    """Keys that the policy, or a trusted log, revokes; their claims in *other* logs have no date to go by."""
    revoked = set(trust.revoked)
    for state in states:
        for public in state.revoked:
            if trust.allows(state.verifier.public):
                revoked.add(public)
    if revoked:
        problems.append(f"{len(revoked)} revoked keys: their claims of human work do not count")
    return frozenset(revoked)


def _trusted_batches(
    state: LogState, trust: Trust, revoked: frozenset[bytes], problems: list[str]
) -> frozenset[int]:
    good: set[int] = set()
    strangers: dict[str, int] = {}
    for number, batch in enumerate(state.batches):
        public = batch.key.public
        here = public in state.revoked and not batch.revoked and public not in trust.revoked
        if trust.allows(public) and not batch.revoked and (public not in revoked or here):
            good.add(number)
        elif batch.role == "attest":
            strangers[batch.key.id] = strangers.get(batch.key.id, 0) + 1
    for key, count in strangers.items():
        problems.append(
            f"log {state.origin}: {count} sealed batch{'es' if count > 1 else ''} by {key}, which is not "
            "trusted: no claim of human work in it counts (trust.toml names the keys that are)"
        )
    return frozenset(good)


def read_trail(paths: Iterable[Path | str], config: Config | None = None) -> Trail:
    """Audit and read just these logs.

    Raises:
        LogError: A log is damaged, rolled back, or two copies of one contradict each other.
        SignatureError: A checkpoint does not verify.
    """
    trust = load_trust(config, load_public(config))
    problems: list[str] = []
    newest: dict[str, LogState] = {}
    for path in paths:
        ledger = Ledger.open(path, verifiers=trust.verifiers)
        if older := check_head(ledger):
            problems.append(older)
        trust = trust.following(ledger.rotations)
        state = read_log(ledger)
        pin_head(ledger)
        other = newest.get(state.identity)
        newest[state.identity] = state if other is None else _newer(state, other)
    return Trail(list(newest.values()), trust, problems)


def open_trail(
    workspace: Workspace, config: Config | None = None, *, dataset: object | str | None = None
) -> Trail:
    """Audit and read every log that a workspace reads.

    Its own; the ones it links to; those of ``*.genepool`` folders inside the dataset, beside it and beside
    the folders that hold it; and ``ledger.logs`` of the configuration.

    Args:
        workspace: The workspace.
        config: Key, trust policy and further logs.
        dataset: The dataset (or its path), to look for logs in and around it; None: the folder that the
            workspace is named after.

    Raises:
        LogError: A log is damaged, rolled back, or two copies of one contradict each other.
        SignatureError: A checkpoint does not verify.
    """
    uri = dataset if isinstance(dataset, str) else getattr(dataset, "uri", None)
    paths, problems = find_logs(workspace, config, uri)
    trail = read_trail(paths, config)
    trail.problems = (*problems, *trail.problems)
    return trail


def _newer(one: LogState, two: LogState) -> LogState:
    """Of two copies of one log, the longer; they must agree as far as both go."""
    short, long = sorted((one, two), key=lambda state: state.size)
    if short.size:
        before = Ledger.open(long.path, verifiers=[long.verifier]).root_at(short.size)
        if before != short.root:
            raise LogError(
                f"{short.path}/checkpoint: contradicts {long.path} on the first {short.size} entries: forked"
            )
    return long
