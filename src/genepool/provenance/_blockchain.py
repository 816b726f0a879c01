"""`DataProvenanceBlockchain`: what the log can say about the origins of a dataset, with bounds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from genepool.config import Config, load
from genepool.provenance._trail import BY_LOOKS, Trail, as_digests, open_trail
from genepool.records import Attestation

if TYPE_CHECKING:
    import pyarrow as pa


__all__ = ["STATES", "AssetOrigin", "DataProvenanceBlockchain", "OriginReport", "State", "report_origins"]

State = Literal["human", "ai", "other", "disputed", "unknown"]
STATES: Final[tuple[State, ...]] = ("unknown", "human", "ai", "other", "disputed")


@dataclass(frozen=True, slots=True)
class AssetOrigin:
    """What the logs say about one image.

    Attributes:
        uri: The image.
        sha256: Its digest, hex.
        state: ``human``: a trusted key attests human work; ``ai``: somebody attests that a model made it;
            ``disputed``: both; ``other``: attested as neither; ``unknown``: no claim that counts.
        attestation: The claim that decided, or, for ``unknown``, one that does not count; None: no claim.
    """

    uri: str
    sha256: str
    state: State
    attestation: Attestation | None


class OriginReport:
    """Origins of a dataset according to the logs: iterable, one `AssetOrigin` an image.

    Attributes:
        n: Images.
        n_human: Attested human by a trusted key, undisputed.
        n_ai: Attested as made by a model, undisputed.
        n_disputed: Attested as both.
        n_untrusted: Unknown images that an untrusted key calls human.
        n_recovered: Unknown images that look like one that is attested as AI (`recovered` names them); they
            stay unknown here, because looks prove nothing.
        lower: Share that is certainly human if the keys are honest: ``n_human / n``.
        upper: Largest human share that the log allows: ``1 − n_ai / n``.
        root: Merkle root of the dataset, hex.
        problems: What did not count, and why.
    """

    def __init__(
        self,
        trail: Trail,
        uris: pa.ChunkedArray | pa.Array,
        sha256: NDArray[np.uint8],
        pixel: NDArray[np.uint8],
        *,
        root: str = "",
        phash: Sequence[bytes | None] | None = None,
    ) -> None:
        self.n = len(sha256)
        self.root = root
        self.problems = trail.problems
        self._trail, self._uris, self._sha = trail, uris, sha256
        matches = trail.match(sha256, pixel)
        human = trail.is_human[matches.claim] & trail.is_trusted[matches.claim]
        ai = trail.is_ai[matches.claim]
        other = ~trail.is_human[matches.claim] & ~ai & trail.is_trusted[matches.claim]
        has_human, has_ai, has_other = (self._any(matches.image[which]) for which in (human, ai, other))
        state = np.zeros(self.n, np.int8)
        state[has_other] = STATES.index("other")
        state[has_human] = STATES.index("human")
        state[has_ai] = STATES.index("ai")
        state[has_ai & has_human] = STATES.index("disputed")
        self._state = state
        # The claim to show: AI before trusted human before the rest; the first of equals.
        rank = np.where(ai, 0, np.where(human, 1, np.where(other, 2, 3)))
        order = np.lexsort((np.arange(len(rank)), rank, matches.image))
        shown, first = np.unique(matches.image[order], return_index=True)
        self._claim = np.full(self.n, -1, np.int64)
        self._by = np.zeros(self.n, np.int8)
        self._claim[shown] = matches.claim[order][first]
        self._by[shown] = matches.by[order][first]
        counts = np.bincount(state, minlength=len(STATES))
        self.counts: dict[str, int] = {name: int(counts[code]) for code, name in enumerate(STATES)}
        self.n_human, self.n_ai = self.counts["human"], self.counts["ai"]
        self.n_disputed = self.counts["disputed"]
        self.n_untrusted = int(((state == 0) & (self._claim >= 0)).sum())
        self._recover(phash)
        self.lower = self.n_human / self.n if self.n else 0.0
        self.upper = 1 - self.n_ai / self.n if self.n else 1.0

    def _recover(self, phash: Sequence[bytes | None] | None) -> None:
        """Look for unclaimed images by their looks."""
        self.recovered: dict[int, Attestation] = {}
        unclaimed: list[int] = np.flatnonzero(self._claim < 0).tolist()
        lost = [at for at in unclaimed if phash is not None and phash[at]]
        if phash is not None and lost and len(self._trail):
            found = self._trail.recover(as_digests([phash[at] or b"" for at in lost]))
            for image, claim in zip(found.image.tolist(), found.claim.tolist(), strict=True):
                if self._trail.is_ai[claim]:
                    self.recovered.setdefault(lost[image], self._trail.attestation(claim, BY_LOOKS))
        self.n_recovered = len(self.recovered)

    def _any(self, images: NDArray[np.int64]) -> NDArray[np.bool_]:
        found = np.zeros(self.n, np.bool_)
        found[images] = True
        return found

    def __len__(self) -> int:
        return self.n

    def __iter__(self) -> Iterator[AssetOrigin]:
        for at in range(self.n):
            yield self[at]

    def __getitem__(self, at: int) -> AssetOrigin:
        if not -self.n <= at < self.n:
            raise IndexError(at)
        claim = int(self._claim[at])
        return AssetOrigin(
            uri=str(self._uris[at]),
            sha256=self._sha[at].tobytes().hex(),
            state=STATES[self._state[at]],
            attestation=None if claim < 0 else self._trail.attestation(claim, int(self._by[at])),
        )

    def __repr__(self) -> str:
        parts = ", ".join(f"{count} {name}" for name, count in self.counts.items() if count)
        share = f"human share in [{self.lower:.3f}, {self.upper:.3f}]"
        return f"OriginReport(n={self.n}: {parts or 'empty'}; {share})"

    def cohorts(self, state: State) -> dict[str, int]:
        """Cohort → images in this state, largest first (images without a cohort are left out)."""
        rows = np.flatnonzero((self._state == STATES.index(state)) & (self._claim >= 0))
        return self._trail.count_cohorts(self._claim[rows])

    def summary(self) -> dict[str, Any]:
        """Counts and bounds as plain data."""
        return {
            "n": self.n,
            "root": self.root,
            "counts": dict(self.counts),
            "untrusted": self.n_untrusted,
            "recovered": self.n_recovered,
            "human_share": {
                "value": None,
                "lower": self.lower,
                "upper": self.upper,
                "n": self.n,
                "method": "attested by trusted keys / n; 1 − attested AI / n",
            },
            "logs": [
                {"origin": log.origin, "size": log.size, "root": log.root.hex(), "path": log.path}
                for log in self._trail.logs
            ],
            "problems": list(self.problems),
        }

    def to_json(self) -> dict[str, Any]:
        """The summary with one object an image under ``assets``."""
        return {**self.summary(), "assets": [asdict(asset) for asset in self]}

    def table(self) -> pa.Table:
        """Columns uri, sha256, state, origin, trusted, matched_by, cohort, model, lo, hi, key, log, index."""
        import pyarrow as pa

        rows = [
            {
                "uri": asset.uri,
                "sha256": bytes.fromhex(asset.sha256),
                "state": asset.state,
                **_columns(asset.attestation),
            }
            for asset in self
        ]
        return pa.Table.from_pylist(rows, schema=pa.schema(_SCHEMA))


_SCHEMA = [
    ("uri", "string"),
    ("sha256", "binary"),
    ("state", "string"),
    ("origin", "string"),
    ("trusted", "bool"),
    ("matched_by", "string"),
    ("cohort", "string"),
    ("model", "string"),
    ("lo", "int32"),
    ("hi", "int32"),
    ("key", "string"),
    ("log", "string"),
    ("index", "int64"),
]


def _columns(found: Attestation | None) -> dict[str, Any]:
    if found is None:
        return {}
    lo, hi = found.generation or (None, None)
    return {
        "origin": found.origin,
        "trusted": found.trusted,
        "matched_by": found.matched_by,
        "cohort": found.cohort,
        "model": found.model,
        "lo": lo,
        "hi": hi,
        "key": found.key,
        "log": found.log,
        "index": found.index,
    }


class DataProvenanceBlockchain:
    """Origins according to a tamper-evident log: Merkle tree, signed checkpoints, sealed attestations.

    Args:
        workspace: Where log and scan are kept; None: the dataset's own (`genepool.store.workspace_for`).
        config: Key, trust policy, further logs; None: ``genepool.toml`` of the current folder, else defaults.
    """

    def __init__(self, workspace: str | Path | None = None, *, config: Config | None = None) -> None:
        self.workspace = workspace
        self.config = config or load()

    def verify_origins(self, dataset: Any) -> OriginReport:
        """Look up every image of a dataset in the logs, which are audited first.

        Args:
            dataset: Anything that `genepool.dataset.open` takes.

        Raises:
            LogError: A log is damaged; the first bad place is named.
            SourceError: The dataset cannot be read.
        """
        from genepool import dataset as datasets
        from genepool import scan, store

        opened = datasets.open(dataset)
        place = store.workspace_for(opened, self.workspace)
        catalogue = scan.scan(opened, place, config=self.config)
        trail = open_trail(place, self.config, dataset=opened)
        return report_origins(catalogue, trail)


def report_origins(catalogue: Any, trail: Trail) -> OriginReport:
    """The report on a scanned dataset."""
    looks = ["phash"] if "phash" in getattr(catalogue, "columns", ()) else []
    table = catalogue.table(["uri", "sha256", "pixel", *looks])
    return OriginReport(
        trail,
        table["uri"],
        as_digests(table["sha256"].to_pylist()),
        as_digests(table["pixel"].to_pylist()),
        root=catalogue.root().hex(),
        phash=table["phash"].to_pylist() if looks else None,
    )
