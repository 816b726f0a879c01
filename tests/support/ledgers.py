"""Small logs of made-up images, without any scan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa

from genepool import provenance
from genepool.store import Workspace, merkle_root


def digest(text: str) -> bytes:
    return sha256(text.encode()).digest()


@dataclass
class Images:
    """What registering needs of a catalogue, for images that exist only as names."""

    uri: str
    names: Sequence[str]
    declared: Mapping[str, str] = field(default_factory=dict)

    @property
    def dataset(self) -> Any:
        return SimpleNamespace(uri=self.uri)

    @property
    def n(self) -> int:
        return len(self.names)

    @property
    def shas(self) -> list[bytes]:
        return [digest(name) for name in self.names]

    @property
    def pixels(self) -> list[bytes]:
        return [digest(f"{name} raster") for name in self.names]

    def cases(self) -> list[Any]:
        return []

    def root(self) -> bytes:
        return merkle_root(iter([b"".join(sorted(self.shas))]))

    def table(self, columns: Sequence[str]) -> pa.Table:
        whole = {"uri": list(self.names), "sha256": self.shas, "pixel": self.pixels}
        whole["declared"] = [self.declared.get(name, "") for name in self.names]
        return pa.table({name: whole[name] for name in columns})

    def origins(self, origin: str = "unknown", lo: int = 0, hi: int | None = None) -> pa.Table:
        n = self.n
        return pa.table(
            {
                "sha256": self.shas,
                "origin": [origin] * n,
                "lo": pa.array([lo] * n, pa.int32()),
                "hi": pa.array([hi] * n, pa.int32()),
                "model": [""] * n,
            }
        )


def images(count: int, prefix: str = "image", uri: str = "/data/pictures") -> Images:
    return Images(uri, [f"{prefix}-{i}.png" for i in range(count)])


def workspace(folder: Path, name: str = "set") -> Workspace:
    return Workspace(folder / f"{name}.genepool").create()


def small_log(folder: Path) -> Workspace:
    """Keys, two human cohorts, a model, its outputs, a withdrawal, a check."""
    space = workspace(folder)
    provenance.register_human(images(5, "a"), space, cohort="a", artist="Ada Adams")
    provenance.register_human(images(3, "b"), space, cohort="b", origin="captured")
    provenance.register_model(space, "m", [("a", 0.5), ("b", 0.5)])
    provenance.register_outputs(images(4, "out"), space, model="m", cohort="outputs")
    provenance.withdraw(space, cohort="b")
    everything = Images("/data/set", [*images(5, "a").names, *images(2, "new").names])
    provenance.seal(space, everything, everything.origins(), {"status": "undecided", "measures": {}})
    return space


def log_files(space: Workspace) -> Iterator[Path]:
    """Checkpoint, tiles and bundles."""
    yield space.ledger / "checkpoint"
    yield from sorted(path for path in (space.ledger / "tile").rglob("*") if path.is_file())
