"""What a check leaves in the log: one origin entry an image, the set, the decision."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genepool.config import Config
from genepool.errors import UsageError
from genepool.provenance._certify import Sealed, drop_certificate, make_certificate
from genepool.provenance._entries import clean, encode
from genepool.provenance._fold import CLASSES, UNBOUNDED
from genepool.provenance._members import keep_members
from genepool.provenance._sealed import sealed_decision, sealed_policy
from genepool.provenance._trail import Index, as_digests
from genepool.provenance._writer import Writer, now, open_writer
from genepool.store import Workspace

if TYPE_CHECKING:
    import pyarrow as pa

    from genepool.store import Catalogue

__all__ = ["Seal", "seal", "seal_subset"]


TOGETHER = 65_536
"""Origin entries that are appended, and held in memory, together; each such batch has its own seal."""


@dataclass(frozen=True, slots=True)
class Seal:
    """Where a check was recorded.

    Attributes:
        log: The log's name.
        ledger: Its folder.
        size: Entries in it now.
        root: Its root hash now, hex.
        decision: Leaf index of the decision entry.
        new: Origin entries added now.
        known: Images whose origin was sealed as it is before.
        key: Id of the key that signed.
        key_place: Where the private key lies.
        key_created: Whether it was made just now: say so aloud.
        certificate: The certificate's path; empty where the set did not pass.
    """

    log: str
    ledger: str
    size: int
    root: str
    decision: int
    new: int
    known: int
    key: str
    key_place: str
    key_created: bool
    certificate: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def seal(
    workspace: Workspace,
    catalogue: Catalogue,
    origins: pa.Table,
    decision: Mapping[str, Any],
    config: Config | None = None,
) -> Seal:
    """Record a check: one origin entry for each image not yet recorded so, the set, and the decision.

    Where the set passed the whole policy, its certificate is written into the workspace; where not (also
    where rules were left out, or a baseline excused faults), an older one is taken away.

    These entries say what genepool concluded on this day. They carry the role ``check`` and never count as
    anybody's claim about an image.

    Args:
        workspace: Where the log lies.
        catalogue: The set.
        origins: What `genepool.origin.settle` returned, in the order of the catalogue.
        decision: The decision as its JSON contract gives it.
        config: Key, and the policy whose digest is recorded.

    Raises:
        UsageError: The origins are not this catalogue's.
        IntegrityError: The log does not verify.
        WorkspaceError: Not writable.
    """
    rows = _Rows.of(catalogue, origins)
    shas = rows.shas
    root = catalogue.root()
    with open_writer(workspace, config) as writer:
        fresh = rows.fresh(writer)
        entries = rows.append(writer, fresh, root)
        dataset = _dataset_entry(rows, root, config)
        report = sealed_decision(decision)
        known = next((at for at, body in writer.state.datasets if _same(body, dataset)), None)
        if known is None:
            entries.append(encode(dataset))
        entries.append(encode(_decision_entry(decision, report, root)))
        written = writer.append(entries, "check", {"dataset": root.hex()})
        keep_members(workspace.root, root, shas)
        ledger, key = writer.ledger, writer.key
        certificate = ""
        if _certifiable(decision) and key.signer.verifier.public not in writer.state.revoked:
            sealed = Sealed(
                dataset=written[-2] if known is None else known,
                decision=written[-1],
                report=report,
                policy=sealed_policy(config),
                digests=shas,
                aside=[bytes.fromhex(case.sha256) for case in catalogue.cases() if case.sha256],
            )
            certificate = str(make_certificate(workspace, ledger, key.signer, sealed))
        else:
            drop_certificate(workspace)
        return Seal(
            log=ledger.origin,
            ledger=str(ledger.path),
            size=ledger.size,
            root=ledger.root.hex(),
            decision=written[-1],
            new=len(fresh),
            known=len(set(shas)) - len(fresh),
            key=key.signer.verifier.id,
            key_place=key.place,
            key_created=key.created,
            certificate=certificate,
        )


def _certifiable(decision: Mapping[str, Any]) -> bool:
    """Whether the set passed every rule, by itself."""
    narrowed = decision.get("policy", {}).get("not_applied")
    return decision.get("status") == "pass" and not narrowed and not decision.get("tolerated")


def seal_subset(
    workspace: Workspace, catalogue: Catalogue, origins: pa.Table, config: Config | None = None
) -> str:
    """Record a part of a checked set as a dataset of its own, so that a model can name it by its root.

    No decision and no certificate are written: those are about the whole set.

    Args:
        workspace: Where the log lies.
        catalogue: The part, a selection of the checked set's.
        origins: Its settled origins, in its order.
        config: Key, and the policy whose digest is recorded.

    Returns:
        Its root, hex.

    Raises:
        UsageError: The origins are not this catalogue's.
        IntegrityError: The log does not verify.
    """
    rows = _Rows.of(catalogue, origins)
    shas = rows.shas
    root = catalogue.root()
    with open_writer(workspace, config) as writer:
        entries = rows.append(writer, rows.fresh(writer), root)
        dataset = _dataset_entry(rows, root, config)
        if not any(_same(body, dataset) for _, body in writer.state.datasets):
            entries.append(encode(dataset))
        if entries:
            writer.append(entries, "check", {"dataset": root.hex()})
        keep_members(workspace.root, root, shas)
    return root.hex()


class _Rows:
    """The settled origins as plain columns."""

    def __init__(self, origins: pa.Table, shas: list[bytes], pixels: pa.Array) -> None:
        self.shas, self.pixels = shas, pixels
        # Equal words share one string: there are few of them, and as many rows as images.
        self.origin: list[str] = _shared(origins["origin"], str)
        if unknown := set(self.origin) - set(CLASSES):
            raise UsageError(f"seal: expected origins of {', '.join(CLASSES)}, found {sorted(unknown)[0]!r}")
        self.lo: list[int] = [0 if value is None else int(value) for value in origins["lo"].to_pylist()]
        self.hi: list[int | None] = origins["hi"].to_pylist()
        self.model: list[str] = _shared(origins["model"], lambda value: clean(value or ""))

    @classmethod
    def of(cls, catalogue: Catalogue, origins: pa.Table) -> _Rows:
        """The rows of a catalogue with its origins.

        Raises:
            UsageError: They do not belong together.
        """
        digests = catalogue.table(["sha256", "pixel"])
        shas = origins["sha256"].to_pylist()
        if digests["sha256"].to_pylist() != shas:
            raise UsageError("seal: expected the origins of this catalogue in its order, found others")
        return cls(origins, shas, digests["pixel"].combine_chunks())

    def append(self, writer: Writer, fresh: list[int], root: bytes) -> list[bytes]:
        """Append the entries of many images batch by batch; the last batch is returned, for more to follow.

        What a crash leaves are sealed origins without a decision; the next check finds them known.
        """
        whole = max(0, len(fresh) - 1) // TOGETHER * TOGETHER
        for at in range(0, whole, TOGETHER):
            entries = [self.entry(row) for row in fresh[at : at + TOGETHER]]
            writer.append(entries, "check", {"dataset": root.hex()})
        return [self.entry(row) for row in fresh[whole:]]

    def fresh(self, writer: Writer) -> list[int]:
        """Positions of images (each digest once) whose present origin is not yet in the log."""
        claims = writer.state.claims
        rows = np.flatnonzero((claims.role == 1) & (claims.batch >= 0) & claims.alive)
        codes, digests = self._codes(), as_digests(self.shas)
        image, found = Index(claims.sha[rows]).pairs(digests)
        old = np.stack([claims.origin, claims.lo, claims.hi], axis=1)[rows].astype(np.int64)
        due = np.zeros(len(self.shas), np.bool_)
        # Fixed-width byte strings of equal length are equal where the bytes are.
        due[np.unique(digests.view("S32").reshape(-1), return_index=True)[1]] = True
        due[image[(old[found] == codes[image]).all(axis=1)]] = False
        return np.flatnonzero(due).tolist()

    def _codes(self) -> NDArray[np.int64]:
        code = {value: number for number, value in enumerate(CLASSES)}
        highs = [UNBOUNDED if hi is None else hi for hi in self.hi]
        return np.array([[code[o] for o in self.origin], self.lo, highs], np.int64).T.reshape(-1, 3)

    def entry(self, at: int) -> bytes:
        body: dict[str, Any] = {
            "kind": "origin",
            "gen": [self.lo[at], self.hi[at]],
            "origin": self.origin[at],
            "pix": self.pixels[at].as_py().hex(),
            "role": "check",
            "sha256": self.shas[at].hex(),
        }
        if self.model[at]:
            body["model"] = self.model[at]
        return encode(body)


def _shared(values: pa.ChunkedArray, word: Callable[[Any], str]) -> list[str]:
    """A word for each value of a column; those of equal values are one string."""
    known: dict[Any, str] = {}
    found = []
    for value in values.to_pylist():
        if value not in known:
            known[value] = word(value)
        found.append(known[value])
    return found


def _dataset_entry(rows: _Rows, root: bytes, config: Config | None) -> dict[str, Any]:
    histogram = Counter(_generation_word(lo, hi) for lo, hi in zip(rows.lo, rows.hi, strict=True))
    highs = [hi for hi in rows.hi if hi is not None]
    return {
        "kind": "dataset",
        "composition": dict(Counter(rows.origin)),
        "gen": [max(rows.lo, default=0), max(highs, default=0) if len(highs) == len(rows.hi) else None],
        "generations": dict(histogram.most_common(64)),
        "n": len(rows.shas),
        "policy": sha256(sealed_policy(config)).hexdigest(),
        "root": root.hex(),
    }


def _generation_word(lo: int, hi: int | None) -> str:
    if hi is None:
        return f"{lo}+"
    return str(lo) if lo == hi else f"{lo}-{hi}"


def _same(body: Mapping[str, Any], dataset: Mapping[str, Any]) -> bool:
    return all(body.get(field) == value for field, value in dataset.items())


def _decision_entry(decision: Mapping[str, Any], report: bytes, root: bytes) -> dict[str, Any]:
    """Status and numbers of a decision; numbers as decimal text, because records hold no floats."""
    measures = {
        clean(str(name)): {
            field: repr(float(value)) if isinstance(value, float) else value
            for field in ("value", "lower", "upper", "n")
            if isinstance(value := measure.get(field), (int, float)) or value is None
        }
        for name, measure in dict(decision.get("measures", {})).items()
        if isinstance(measure, Mapping)
    }
    codes = sorted({str(failure.get("code", "")) for failure in decision.get("failures", ())})
    return {
        "kind": "decision",
        "at": now(),
        "dataset": root.hex(),
        "digest": sha256(report).hexdigest(),
        "status": str(decision.get("status", "")),
        "summary": {"failures": codes[:256], "measures": measures},
    }
