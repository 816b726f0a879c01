"""One image looked up in a log on disk, in milliseconds, without auditing the whole log.

``lookup/`` of the workspace is a derived index: digests, pixel hashes and looks of all ``origin`` entries as
memory-mapped arrays. It is made anew whenever log or details have changed, and it is trusted with nothing:
each entry that it points to is proven to stand in the signed log, and its digest is compared. The seal's
signature is verified, too. That the seal covers the entry's bytes, and what was withdrawn or revoked, is
taken from the audit that made the index.
"""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import orjson
from numpy.typing import NDArray

from genepool.errors import LogError, SignatureError, WorkspaceError
from genepool.provenance._dsse import open_seal
from genepool.provenance._entries import decode
from genepool.provenance._fold import LogState, read_log
from genepool.provenance._ledger import Ledger
from genepool.provenance._looks import LookIndex
from genepool.provenance._sidecar import Sidecar
from genepool.provenance._trust import Trust
from genepool.records import OriginClass

__all__ = ["Found", "Lookup"]

_ARRAYS = (
    "index",
    "alive",
    "seal",
    "revoked",
    "sha_keys",
    "sha_order",
    "pixel_keys",
    "pixel_order",
    "look_row",
)


@dataclass(frozen=True, slots=True)
class Found:
    """One entry about an image.

    Attributes:
        index: Leaf index of the entry.
        matched_by: ``sha256`` (same bytes), ``pixel`` (same raster), ``phash`` (looks the same).
        distance: Differing bits of 256 for ``phash``, else 0.
        origin: The class.
        role: ``attest`` (somebody's claim) or ``check`` (what a check concluded).
        cohort, model: Where named.
        generation: ``(lo, hi)``; hi None = unbounded.
        key: Id of the key that sealed the entry; empty: no seal.
        trusted: Whether the policy lets that key make this claim.
        withdrawn: Whether the claim was taken back.
        entry: The entry's bytes, proven to stand in the log.
    """

    index: int
    matched_by: Literal["sha256", "pixel", "phash"]
    distance: int
    origin: str
    role: str
    cohort: str
    model: str
    generation: tuple[int, int | None]
    key: str
    trusted: bool
    withdrawn: bool
    entry: bytes

    @property
    def status(self) -> str:
        """``recovered`` (by looks), ``attested`` (a trusted claim), ``declared`` (another's), ``checked``."""
        if self.matched_by == "phash":
            return "recovered"
        if self.role == "check":
            return "checked"
        return "attested" if self.trusted else "declared"

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {**asdict(self), "entry": self.entry.decode(), "status": self.status}


class Lookup:
    """The index of one log.

    Args:
        ledger: The log, opened.
        trust: Whose claims count.

    Raises:
        LogError: The log or a detail is damaged (when the index has to be made anew).
    """

    def __init__(self, ledger: Ledger, trust: Trust) -> None:
        self.ledger = ledger
        self.trust = trust.following(ledger.rotations)
        self._folder = Path(ledger.path).parent / "lookup"
        self.rebuilt = not self._load()
        if self.rebuilt:
            self._build(read_log(ledger))

    # ---------------------------------------------------------------------------------- making it

    def _stamp(self) -> dict[str, Any]:
        detail = Sidecar(Path(self.ledger.path).parent).path
        with contextlib.suppress(OSError):
            status = detail.stat()
            return {
                "format": 1,
                "root": self.ledger.root.hex(),
                "size": self.ledger.size,
                "details": [status.st_size, status.st_mtime_ns],
            }
        return {"format": 1, "root": self.ledger.root.hex(), "size": self.ledger.size, "details": None}

    def _load(self) -> bool:
        try:
            if orjson.loads((self._folder / "stamp.json").read_bytes()) != self._stamp():
                return False
            for name in _ARRAYS:
                array = np.load(self._folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
                setattr(self, f"_{name}", array)
            self._looks = LookIndex.load(self._folder)
        except (OSError, ValueError):
            return False
        return True

    def _build(self, state: LogState) -> None:
        claims = state.claims
        for name, digests in (("sha", claims.sha), ("pixel", claims.pixel)):
            keys = _keys(digests)
            order = np.argsort(keys, kind="stable")
            setattr(self, f"_{name}_keys", keys[order])
            setattr(self, f"_{name}_order", order)
        seals = np.array([batch.index for batch in state.batches] + [-1], np.int64)
        self._index = claims.index
        self._alive = claims.alive
        self._seal = seals[claims.batch]
        self._revoked = np.array([batch.revoked for batch in state.batches] + [True])[claims.batch]
        details = Sidecar(Path(self.ledger.path).parent).load()
        rows, looks = [], []
        for row, det in enumerate(map(bytes, claims.detail)):
            look = details.get(det, {}).get("phash") if claims.alive[row] else None
            if isinstance(look, str) and len(look) == 64:
                rows.append(row)
                looks.append(bytes.fromhex(look))
        self._look_row = np.array(rows, np.int64)
        self._looks = LookIndex(np.frombuffer(b"".join(looks), np.uint8).reshape(-1, 32))
        # A folder that cannot be written only makes the next look-up slow.
        with contextlib.suppress(OSError):
            self._save()

    def _save(self) -> None:
        fresh = self._folder.with_name("lookup.partial")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        for name in _ARRAYS:
            np.save(fresh / f"{name}.npy", getattr(self, f"_{name}"))
        self._looks.save(fresh)
        (fresh / "stamp.json").write_bytes(orjson.dumps(self._stamp()))
        shutil.rmtree(self._folder, ignore_errors=True)
        fresh.replace(self._folder)

    # ------------------------------------------------------------------------------------ asking

    def find(self, sha256: bytes, pixel: bytes | None = None, phash: bytes | None = None) -> list[Found]:
        """Every entry about an image: by bytes and raster, or, where neither finds a claim, by looks.

        Args:
            sha256: Of the file's bytes.
            pixel: Pixel hash, if the image could be decoded.
            phash: Perceptual hash, likewise.

        Returns:
            Live claims first, then the rest; the best match first.

        Raises:
            LogError: An entry is not the one that was signed.
        """
        found = [self._entry(row, "sha256", sha256) for row in self._equal("sha", sha256)]
        if pixel is not None:
            known = {one.index for one in found if one is not None}
            rows = (row for row in self._equal("pixel", pixel) if int(self._index[row]) not in known)
            found += [self._entry(row, "pixel", pixel) for row in rows]
        if phash is not None and not any(one and one.role == "attest" and not one.withdrawn for one in found):
            wanted = np.frombuffer(phash, np.uint8).reshape(1, 32)
            _, places, distances = self._looks.nearest(wanted)
            for place, distance in zip(places.tolist(), distances.tolist(), strict=True):
                found.append(self._entry(int(self._look_row[place]), "phash", phash, distance))
        order = {"sha256": 0, "pixel": 1, "phash": 2}
        real = [one for one in found if one is not None]
        return sorted(real, key=lambda one: (one.withdrawn, one.role != "attest", order[one.matched_by]))

    def _equal(self, name: str, digest: bytes) -> list[int]:
        keys, order = getattr(self, f"_{name}_keys"), getattr(self, f"_{name}_order")
        key = _keys(np.frombuffer(digest, np.uint8).reshape(1, 32))[0]
        start, stop = np.searchsorted(keys, key, "left"), np.searchsorted(keys, key, "right")
        rows: list[int] = np.sort(order[start:stop]).tolist()
        return rows

    def _entry(
        self, row: int, by: Literal["sha256", "pixel", "phash"], digest: bytes, distance: int = 0
    ) -> Found | None:
        index = int(self._index[row])
        entry = self.ledger.entry(index)
        body = decode(entry)
        if body["kind"] != "origin":
            raise LogError(f"{self._folder}: points to entry {index}, which is about no image")
        if by != "phash" and body["sha256" if by == "sha256" else "pix"] != digest.hex():
            return None  # two digests that begin alike
        if by == "phash":
            self._check_look(body, row)
        key, right = self._sealer(int(self._seal[row]), index)
        kind = OriginClass(body["origin"])
        lo, hi = body["gen"]
        claim = body["role"] == "attest" and right and key is not None
        believed = kind.is_ai or (claim and not self._revoked[row] and self.trust.allows(key.public))
        return Found(
            index=index,
            matched_by=by,
            distance=distance,
            origin=body["origin"],
            role=body["role"],
            cohort=body.get("cohort", ""),
            model=body.get("model", ""),
            generation=(lo, hi),
            key=key.id if key else "",
            trusted=bool(claim and believed),
            withdrawn=not bool(self._alive[row]),
            entry=entry,
        )

    def _check_look(self, body: dict[str, Any], row: int) -> None:
        """The look must be the one that the entry's salted hash binds."""
        details = Sidecar(Path(self.ledger.path).parent)
        detail = details.get(bytes.fromhex(body.get("det", "00")))
        place = int(np.searchsorted(self._look_row, row))
        look = self._looks.words[place].tobytes().hex()
        if detail is None or detail.get("phash") != look:
            raise WorkspaceError(
                f"{self._folder}: a look in it is not the one that entry {int(self._index[row])} binds",
                hint=f"remove {self._folder}; it is made anew",
            )

    def _sealer(self, seal: int, index: int) -> tuple[Any, bool]:
        """The key that sealed an entry, and whether its seal attests just these leaves."""
        if seal < 0:
            return None, False
        try:
            statement = open_seal(decode(self.ledger.entry(seal)))
        except (SignatureError, KeyError):
            return None, False
        covers = statement.first <= index < seal == statement.first + statement.n
        return statement.key, covers and statement.role == "attest"


def _keys(digests: NDArray[np.uint8]) -> NDArray[np.uint64]:
    return np.ascontiguousarray(digests[:, :8]).view("<u8").reshape(-1)
