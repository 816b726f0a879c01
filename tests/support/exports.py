"""A small set with captions, claims and conclusions, the same bytes on every machine, and its exports."""

from __future__ import annotations

import json
import struct
import sys
import zlib
from pathlib import Path

CC = "CC-BY-4.0"
TABLE = (
    # name, caption, sidecar, conclusions: origin, tier, generation from, to, model
    ("a/one.png", "a red square", {"artist": "Ada", "license": CC}, ("human_made", "attested", 0, 0, "")),
    ("a/one.gif", None, {}, ("synthetic", "declared", 1, None, "brush-2")),
    (
        "b & c/two words.png",
        'she said "grün", twice\nand left',
        {"license": CC},
        ("unknown", "unknown", None, None, ""),
    ),
    ("d.png", "=1+1", {"origin": "captured"}, ("captured", "proven", 0, 0, "")),
    ("e/f/g.png", "", {"model": "m"}, ("mixed", "attested", 2, 3, "m")),
)


def png(colour: int) -> bytes:
    """8 × 8 pixels of one grey, stored and not compressed, so that no library decides about the bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + bytes([colour]) * 8) * 8
    stored = b"\x78\x01\x01" + struct.pack("<HH", len(rows), len(rows) ^ 0xFFFF) + rows
    stored += struct.pack(">I", zlib.adler32(rows))
    head = struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", stored) + chunk(b"IEND", b"")


GIF = (
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff"
    b",\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
)


def write_set(root: Path) -> Path:
    """The images, their captions and one sidecar."""
    lines = []
    for i, (name, caption, declared, _) in enumerate(TABLE):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(GIF if name.endswith(".gif") else png(30 + 40 * i))
        words = {"caption": caption} if caption and name.endswith(".gif") else {}
        if caption and not words:
            path.with_suffix(".txt").write_text(caption, "utf-8")
        if declared or words:
            lines.append(json.dumps({"file": name, **declared, **words}))
    # one.png and one.gif share a stem: the caption file speaks for both, the sidecar tells them apart.
    (root / "a" / "one.txt").unlink()
    lines[0] = json.dumps({"file": "a/one.png", "caption": "a red square", **TABLE[0][2]})
    (root / "genepool.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    return root


def facts(uri: str) -> dict[str, object]:
    """What was concluded about an image of the table."""
    origin, tier, lo, hi, model = next(row[3] for row in TABLE if row[0] == uri)
    return {
        "genepool_origin": origin,
        "genepool_tier": tier,
        "genepool_human": origin in ("human_made", "captured"),
        "genepool_ai": origin in ("synthetic", "mixed"),
        "genepool_p_human": {"human_made": 0.9975, "captured": 0.993, "unknown": 0.5}.get(origin, 0.0025),
        "genepool_generation_lo": lo,
        "genepool_generation_hi": hi,
        "genepool_model": model or None,
    }


def write_exports(root: Path, formats: tuple[str, ...]) -> Path:
    """The set, exported in these formats below ``root``."""
    from genepool import dataset

    source = write_set(root / "atelier set")
    for form in formats:
        dataset.export(dataset.open(source), None, root / form, format=form, facts=facts)
    return root


if __name__ == "__main__":
    write_exports(Path(sys.argv[1]), tuple(sys.argv[2:]))
