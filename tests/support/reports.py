"""Decisions to print, and a catalogue that holds just enough of a dataset to show thumbnails."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from PIL import Image

from genepool.errors import UsageError
from genepool.records import Case, Decision, Failure, Item, Measure, Sample

HOSTILE = (
    "<script>alert(1)</script>.jpg",
    '"><img src=x onerror=alert(1)>.png',
    "'; rm -rf ~ #.jpg",
    "holiday\u202egpj.exe",
    "line\nbreak\tand\x1b[31mred.jpg",
    "undecodable-\udcff\udcfe.jpg",
    "{{ 7 * 7 }}{% raw %}.jpg",
    "$x^2$ & <b>bold</b>.jpg",
    "عربي صورة.jpg",
    "a/" * 60 + "deep.jpg",
)


@dataclass
class MemoryCatalogue:
    """Images that a function draws when they are read; the same face as `genepool.store.Catalogue`."""

    uris: list[str]
    style: np.ndarray | None
    read_log: list[str]
    numbers: dict[str, int] = field(default_factory=dict)
    uri: str = "/data"

    def __post_init__(self) -> None:
        self.n = len(self.uris)
        self.dataset = self
        self.source = self

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        shown = [u.encode("utf-8", "replace").decode() for u in self.uris]
        found = {"uri": shown, "place": shown, "stamp": ["1"] * self.n, "size": [0] * self.n}
        if columns and "sha256" in columns:
            found["sha256"] = [hashlib.sha256(picture(self.number(u))).digest() for u in self.uris]
        return pa.table({n: pa.array(found[n]) for n in columns or ["uri"] if n in found})

    def uris_at(self, rows: Sequence[int]) -> list[str]:
        return [self.table(["uri"]).column("uri")[row].as_py() for row in rows]

    def select(self, uris: Sequence[str]) -> MemoryCatalogue:
        chosen = set(uris)
        kept = [u for u in self.uris if u in chosen]
        return MemoryCatalogue(kept, None, self.read_log, {u: self.number(u) for u in kept})

    def number(self, uri: str) -> int:
        return self.numbers[uri] if self.numbers else self.uris.index(uri)

    def vectors(self, name: str, size: int = 8192, every: int = 1) -> Iterator[np.ndarray]:
        if self.style is None:
            raise UsageError(f"vector {name!r}: expected one of none")
        for start in range(0, self.n, size * every):
            yield self.style[start : start + size * every : every]

    def items(self, aside: list[Case]) -> Iterator[Item]:
        for uri in self.uris:
            yield Item(uri=uri, stamp="1", path=uri)

    def read(self, items: Sequence[Item]) -> Iterator[Sample]:
        for item in items:
            self.read_log.append(item.uri)
            yield Sample(item, picture(self.number(item.uri)))


def picture(seed: int, side: tuple[int, int] = (150, 110), form: str = "JPEG") -> bytes:
    """A small picture of soft colours and grain, different for each seed."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray((rng.random((3, 4, 3)) * 255).astype(np.uint8))
    smooth = np.asarray(small.resize(side, Image.Resampling.BICUBIC), np.float32)
    pixels = smooth + rng.normal(0, 9, (*side[::-1], 3))
    out = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(out, form)
    return out.getvalue()


def catalogue(n: int = 400, *, names: Sequence[str] = (), style: bool = True) -> MemoryCatalogue:
    """``names`` first, then ``photos/img00000.jpg`` …, with clustered style vectors."""
    uris = [*names, *(f"photos/{'abc'[i % 3]}/img{i:05}.jpg" for i in range(n - len(names)))]
    rng = np.random.default_rng(7)
    centres = rng.normal(0, 1, (5, 24))
    vectors = (centres[np.arange(n) % 5] + rng.normal(0, 0.35, (n, 24))).astype(np.float32)
    return MemoryCatalogue(uris, vectors if style else None, [])


def origins(held: MemoryCatalogue, *, disputed: int = 3) -> pa.Table:
    """Two thirds attested human, one sixth synthetic, the rest unknown, a few disputed."""
    n = held.n
    kind = np.arange(n) % 6
    human, ai = kind < 4, kind == 4
    status = np.where(human | ai, "settled", "unknown").astype(object)
    status[:disputed] = "disputed"
    human[:disputed] = ai[:disputed] = False
    tier = np.where(human, "attested", np.where(ai, "proven", "unknown")).astype(object)
    p = np.where(human, 0.99, np.where(ai, 0.01, 0.5 + (np.arange(n) % 7) / 20))
    return pa.table(
        {
            "uri": held.table(["uri"])["uri"],
            "origin": pa.array(np.where(human, "captured", np.where(ai, "synthetic", "unknown")).tolist()),
            "tier": pa.array(tier.tolist()),
            "status": pa.array(status.tolist()),
            "human": pa.array(human),
            "ai": pa.array(ai),
            "p_human": pa.array(p),
            "reasons": pa.array([json.dumps(["a signed manifest names a camera"])] * n),
        }
    )


def measures(status: str) -> dict[str, Measure]:
    low, high, point = {"pass": (0.74, 0.78, 0.76), "fail": (0.55, 0.66, 0.61)}.get(
        status, (0.60, 0.86, 0.73)
    )
    ok = {"pass": True, "fail": False}.get(status)
    exact = "share of images within 256-bit perceptual-hash distance of a kept one; every image was compared"
    return {
        m.name: m
        for m in (
            Measure(
                "human_ratio",
                "human",
                point,
                low,
                high,
                400,
                "Clopper–Pearson bounds over attested and audited images (Biometrika 26, 1934)",
                0.70,
                "floor",
                ok,
            ),
            Measure(
                "generation",
                "generation",
                3.0 if status == "fail" else 1.0,
                3.0 if status == "fail" else 1.0,
                3.0 if status == "fail" else 1.0 if status == "pass" else None,
                400,
                "1 + the highest generation of parents and training data",
                2.0,
                "ceiling",
                ok,
                "31 images above 2" if status == "fail" else "",
            ),
            Measure(
                "diversity",
                "diversity",
                0.712,
                0.688,
                0.735,
                400,
                "support-restricted, reference-normalised order-2 Vendi score",
                0.60,
                "floor",
                True,
            ),
            Measure("near_duplicates", "duplicates", 0.031, 0.031, 0.031, 400, exact, 0.20, "ceiling", True),
            Measure(
                "opted_out",
                "rights",
                0.0,
                0.0,
                0.0,
                400,
                "share with a machine-readable opt-out",
                0.0,
                "ceiling",
                True,
            ),
        )
    }


def decision(status: str, held: MemoryCatalogue, *, cases: int = 31, uri: str = "/data/my set") -> Decision:
    """A decision as the gate makes them, with ``cases`` images behind its first failure."""
    names = (held.uris * (cases // max(1, held.n) + 1))[:cases]
    toxic = tuple(Case(u, "generation", f"generation 3 (made by model m3 from {u})", "GP401") for u in names)
    failures = {
        "pass": (),
        "fail": (
            Failure(
                "GP101",
                "fail",
                "at most 66.0% of the images can be human-made, the floor is 70%",
                "leave out at least 24 of the images known to be AI, or add human work: "
                "genepool register human FOLDER --workspace '/data/my set.genepool'",
            ),
            Failure(
                "GP401",
                "fail",
                f"{cases:,} images above generation 2: machines trained on machines' output",
                f"leave them out: genepool export '{uri}' -o OUT",
                toxic,
            ),
            Failure(
                "GP103",
                "undecided",
                "0 people's verdicts on this set, the checkpoint asks for 20",
                "collect verdicts with genepool.HumanInLoopValidator",
            ),
        ),
        "undecided": (
            Failure(
                "GP101",
                "undecided",
                "human share lies between 60.0% and 86.0%, the floor is 70%: "
                "40 more of the 400 images must be shown to be human-made",
                "attest the folders whose authors you know: genepool register human FOLDER --workspace W",
            ),
        ),
    }[status]
    aside = tuple(
        Case(u, ("truncated", "empty", "bomb")[i % 3], f"{u}: expected 14,022 bytes, found 9,000")
        for i, u in enumerate([*HOSTILE, "broken/half.png"])
    ) + tuple(Case(u, "opt-out", "CAWG training-mining: notAllowed", "GP501") for u in held.uris[20:25])
    return Decision(
        status=status,
        uri=uri,
        n=held.n,
        root="9f2c" * 16,
        measures=measures(status),
        failures=failures,
        set_aside=aside,
        policy={"rules": ["GP101", "GP103", "GP301", "GP401"], "policy": {"human_ratio": 0.7}},
        extra={
            "origins": {"attested": 266, "proven": 67, "unknown": 67},
            "classes": {"captured": 266, "synthetic": 67, "unknown": 67},
            "generations": {"0": 266, "1": 30, "2": 5, "3": 31, "4": 1, "unknown": 12, "no origin": 55},
            "slices": [
                {
                    "column": "style",
                    "name": "<i>ukiyo-e</i> & $co$",
                    "n": 44,
                    "lower": 0.2,
                    "upper": 0.61,
                    "ok": False,
                },
                {"column": "artist", "name": "M. Okafor", "n": 90, "lower": 0.5, "upper": 0.9, "ok": None},
                {"column": "source", "name": "archive", "n": 200, "lower": 0.99, "upper": 1.0, "ok": True},
            ],
            "c2pa": {"absent": 320, "valid": 67, "untrusted": 10, "invalid": 3},
            "rights": {"cawg.training_mining": 5, "plus.data_mining": 2},
            "duplicates": {
                "n_exact": 4,
                "n_near": 20,
                "pairs": [
                    {
                        "image": held.uris[(i + 30) % held.n],
                        "kept": held.uris[i % held.n],
                        "by": ("embedding", "looks", "pixels", "bytes")[i // 5],
                        "why": "most pixels",
                    }
                    for i in range(20)
                ],
            },
            "history": [
                {
                    "at": 1_780_000_000 + 86_400 * i,
                    "root": f"{i:064x}",
                    "status": "fail",
                    "n": held.n - i,
                    "diversity": {"value": 0.62 + i / 100, "lower": 0.6, "upper": 0.73, "n": held.n},
                    "human_ratio": None,
                }
                for i in range(10)
            ],
            "detector": {
                "name": "none",
                "decided": 0,
                "abstained": 400,
                "note": "no calibrated judge is installed",
            },
            "ledger": {
                "origin": "genepool.local/log",
                "size": 402,
                "root": "ab12" * 16,
                "vkey": "local+1a2b+AbC=",
            },
            "versions": {"genepool": "0.1.0", "decoders": ["pillow 13.0.0", "simplejpeg 1.8"]},
            "timing": {"seconds": 4.127, "scanned": 400, "reused": 0, "workers": 2},
            "config": {
                "policy": {"human_ratio": 0.7, "slices": ["source", "artist"]},
                "generation": {"max": 2},
            },
            "approved": {"n": 364, "root": "77aa" * 16},
        },
    )
