"""A catalogue with everything that a report can show: scores, licences, losses, costs, people, history."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from genepool.degradation import measure
from genepool.economics import evaluate
from genepool.records import Verdict
from genepool.store import ReviewRecord, Workspace
from support import reports


@dataclass
class FullCatalogue(reports.MemoryCatalogue):
    """`MemoryCatalogue` with a detector's columns, sidecars and a workspace."""

    columns: dict[str, Any] = field(default_factory=dict)
    workspace: Workspace | None = None

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        found = super().table(columns)
        more = {n: pa.array(self.columns[n]) for n in columns or () if n in self.columns}
        held = {name: found.column(name) for name in found.column_names}
        return pa.table({**more, **held})

    def sql(self, query: str) -> pa.Table:
        import duckdb

        with duckdb.connect() as connection:
            connection.register("assets", pa.table({"declared": self.columns["declared"]}))
            return connection.sql(query).to_arrow_table()


def calibration() -> dict[str, Any]:
    """The calibration that ships with the detector."""
    place = resources.files("genepool.detection") / "model" / "calibration.json"
    return json.loads(place.read_text())


def _vectors(n: int, seed: int, kinds: int = 30) -> np.ndarray:
    centres = np.random.default_rng(99).normal(size=(30, 10)) * 4
    rng = np.random.default_rng(seed)
    return centres[rng.integers(kinds, size=n)] + rng.normal(size=(n, 10))


def losses() -> tuple[Any, Any]:
    """A small degradation report with a forecast, and a cost report."""
    generations = [_vectors(200, 1), _vectors(200, 2, 18), _vectors(200, 4, 9)]
    worn = measure(
        generations, _vectors(300, 3), human=[1, 0.5, 0.3], names=["v1", "<i>v2</i>", "v3"], votes=False
    )
    return worn, evaluate(draws=100)


def catalogue(folder: Path, n: int = 300, *, lost: bool = True) -> FullCatalogue:
    """``n`` images; scores that follow the truth of `reports.origins`, some without; two reviewers.

    ``lost``: with what the model lost, and costs, which take the longest to draw.
    """
    plain = reports.catalogue(n, names=reports.HOSTILE)
    space = Workspace(folder / "w").create()
    rng = np.random.default_rng(5)
    kind = np.arange(n) % 6
    logit = rng.normal(np.where(kind < 4, -2.5, np.where(kind == 4, 2.5, 0.0)), 1.5)
    scores = [None if i % 11 == 10 else float(v) for i, v in enumerate(logit)]
    licences = [{"license": ("CC0-1.0", "<b>odd</b>", "public domain")[i % 3]} for i in range(n)]
    if lost:
        worn, cost = losses()
        space.write_json("degradation.json", worn.to_json())
        space.write_json("cost.json", cost.to_json())
    with ReviewRecord(space) as record:
        digests = [f"{i:064x}" for i in range(40)]
        record.add_controls({d: "human" if i % 2 else "ai" for i, d in enumerate(digests[:20])}, "test")
        for who, slip in (("test:ann", 7), ("test:<b>bob</b>", 5)):
            for i, digest in enumerate(digests):
                right, wrong = ("human", "ai") if i % 2 else ("ai", "human")
                answer = wrong if i % slip == 0 else right
                record.add(
                    Verdict(
                        digest,
                        answer,
                        who,
                        at=float(i),
                        control=i < 20,
                        token=f"{who}{i}",
                        seconds=2.0 + i / 10,
                    )
                )
    return FullCatalogue(
        plain.uris,
        plain.style,
        [],
        columns={
            "detector": [f"house@{calibration()['detector']}"] * n,
            "logit": scores,
            "abstained": ["too small" if i % 11 == 10 else None for i in range(n)],
            "declared": [json.dumps(x) if i % 4 else "{}" for i, x in enumerate(licences)],
        },
        workspace=space,
    )


def decision(status: str, held: FullCatalogue, *, cases: int = 31) -> Any:
    """`reports.decision` of a set whose detector is calibrated."""
    import dataclasses

    made = reports.decision(status, held, cases=cases)
    config = {**made.extra["config"], "detection": {"detector": "house", "threshold": 0.94}}
    facts = {"name": held.columns["detector"][0], "decided": 120, "abstained": 180, "note": "between"}
    return dataclasses.replace(made, extra={**made.extra, "config": config, "detector": facts})
