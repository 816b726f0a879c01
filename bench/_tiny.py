"""A large set of tiny pictures: WebDataset shards, or single files, of 32 px JPEG with sidecars.

Every picture is a random field whose spectrum falls like that of photographs (amplitude about 1/f: Field
1987, Burton and Moorhead 1987), so perceptual hashes spread as they do among different pictures. Of a
thousand pictures about fifty are near-copies of an earlier one (encoded again, paler), ten are copies byte by
byte, one is cut off in the middle. Sidecars declare six in ten to be human work (with artist, style, source),
two in ten to be a model's, and say nothing of the rest. Each JPEG begins with a comment of eight digits, at
`COMMENT`, which `_rows.py` changes. Equal arguments give equal bytes.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import simplejpeg

SIDE = 32
SHARD = 10_000
NEAR, SAME, BROKEN = 50, 10, 1  # of a thousand
COMMENT = slice(6, 14)
"""Where in each file the digits of its comment stand."""
STYLES = ("oil", "ink", "photo", "pastel", "vector", "collage", "gouache", "etching")


def pictures(n: int, seed: int = 5) -> Iterator[tuple[str, bytes, dict | None]]:
    """``(key, JPEG, sidecar or None)``, a thousand at a time in memory."""
    for block in range(-(-n // 1000)):
        count = min(1000, n - 1000 * block)
        yield from _block(block, count, np.random.default_rng((seed, block)))


def _block(block: int, count: int, rng: np.random.Generator) -> Iterator[tuple[str, bytes, dict | None]]:
    array = _fields(count, rng)
    quality = rng.integers(78, 95, count)
    kind, fate, earlier = rng.random(count), rng.integers(1000, size=count), rng.random(count)
    made: list[bytes] = []
    for i in range(count):
        source = int(earlier[i] * i)
        if i and fate[i] < NEAR:
            paler = (array[source] * 0.94 + 10).astype(np.uint8)
            data = _encoded(paler, int(quality[i]) - 12)
        elif i and fate[i] < NEAR + SAME:
            data = made[source]
        else:
            data = _encoded(array[i], int(quality[i]))
        made.append(data)
        if fate[i] >= 1000 - BROKEN:
            data = data[: len(data) // 3]
        number = 1000 * block + i
        yield f"{number:09}", data, _sidecar(number, kind[i], rng)


def _encoded(array: np.ndarray, quality: int) -> bytes:
    data: bytes = simplejpeg.encode_jpeg(array, quality=quality, colorsubsampling="420")
    return data[:2] + b"\xff\xfe\x00\x0a" + b"0" * 8 + data[2:]


def _fields(count: int, rng: np.random.Generator) -> np.ndarray:
    """``(count, 32, 32, 3)`` uint8."""
    fx, fy = np.fft.rfftfreq(SIDE), np.fft.fftfreq(SIDE)
    fall = 1.0 / np.maximum(np.hypot(fy[:, None], fx[None, :]), 1.0 / SIDE)
    noise = rng.standard_normal((count, 4, SIDE, SIDE), dtype=np.float32)
    field = np.fft.irfft2(np.fft.rfft2(noise) * fall, s=(SIDE, SIDE))
    field /= field.std(axis=(2, 3), keepdims=True)
    grey, colour = field[:, :1], field[:, 1:]
    tone = rng.uniform(60, 190, (count, 1, 1, 1)) + 44 * (grey + 0.5 * colour)
    return np.ascontiguousarray(np.clip(tone, 0, 255).astype(np.uint8).transpose(0, 2, 3, 1))


def _sidecar(number: int, kind: float, rng: np.random.Generator) -> dict | None:
    if kind < 0.6:
        # A working life: an artist's pictures lie together, four hundred each.
        return {
            "origin": "human_made",
            "artist": f"artist {number // 400:05}",
            "style": STYLES[int(rng.integers(len(STYLES)))],
            "source": f"collection {number // 50_000:03}",
        }
    if kind < 0.8:
        return {"origin": "ai_generated", "model": f"model {int(rng.integers(12)):02}", "generation": 1}
    return None


def shards(folder: Path, n: int, seed: int = 5) -> int:
    """Write WebDataset shards of 10,000 pictures; returns bytes."""
    folder.mkdir(parents=True)
    total, stream = 0, pictures(n, seed)
    for shard in range(-(-n // SHARD)):
        path = folder / f"{shard:05}.tar"
        with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
            for _ in range(min(SHARD, n - shard * SHARD)):
                key, data, sidecar = next(stream)
                _add(tar, f"{key}.jpg", data)
                if sidecar is not None:
                    _add(tar, f"{key}.genepool.json", json.dumps(sidecar).encode())
        total += path.stat().st_size
    return total


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def files(folder: Path, n: int, seed: int = 5) -> int:
    """Write one file per picture, a thousand to a folder, without sidecars; returns bytes."""
    total = 0
    for i, (key, data, _) in enumerate(pictures(n, seed)):
        if i % 1000 == 0:
            inner = folder / f"{i // 1000:05}"
            inner.mkdir(parents=True)
        (inner / f"{key}.jpg").write_bytes(data)
        total += len(data)
    return total
