"""The forensic expert's training crops: cut, rescaled and re-encoded once, then read as often as needed.

    python training/detector/bank.py CACHE OUT --per 8 [--aligned WEIGHTS --aligned-pictures 900] [--part 0
    --parts 2]

Both classes pass through one distribution: native scale (0.35), reduced to 0.4 to 1 (0.5) or slightly
enlarged to 1.3 (0.15, so that an enlarged human picture is no evidence), JPEG or WebP of quality 30 to 95
not at all, once or twice. The 128-pixel crop is cut from a 160-pixel one after encoding: block grids lie
anywhere. With ``--aligned`` human pictures are also drawn by the autoencoder; original and fake get the
same treatment. Writes ``bank-P.rgb`` (n × 128 × 128 × 3) and ``bank-P.npz`` (picture, fake, scale,
encodings).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from common.pictures import Cache
from common.views import FILTERS, encode

SIDE, MARGIN = 128, 32


def treat(pixels, rng: np.random.Generator):
    """One crop of a picture: ``(128, 128, 3)``, with its scale and number of encodings."""
    from PIL import Image

    image = Image.fromarray(pixels)
    least = min(image.size)
    kind = rng.random()
    scale = 1.0
    if kind > 0.85:
        scale = float(rng.uniform(1.0, 1.3))
    elif kind > 0.35:
        scale = float(np.exp(rng.uniform(np.log(0.4), 0.0)))
    scale = max(scale, min(1.0, SIDE / least))
    big = min(SIDE + MARGIN, int(least * scale))
    side = big / scale
    left = rng.uniform(0, image.width - side) if image.width > side else 0.0
    top = rng.uniform(0, image.height - side) if image.height > side else 0.0
    if scale == 1.0:
        left, top = int(left), int(top)
        crop = image.crop((left, top, left + big, top + big))
    else:
        filters = getattr(Image.Resampling, str(rng.choice(FILTERS)))
        crop = image.resize((big, big), filters, box=(left, top, left + side, top + side))
    times = int(rng.choice([0, 1, 2], p=[0.25, 0.5, 0.25]))
    for _ in range(times):
        crop = encode(crop, rng)
    if crop.width < SIDE:
        crop = crop.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    x, y = (int(rng.integers(0, v - SIDE + 1)) for v in crop.size)
    out = np.asarray(crop.crop((x, y, x + SIDE, y + SIDE)))
    if rng.random() < 0.5:
        out = out[:, ::-1]
    return out, scale, times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cache", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--per", type=int, default=8)
    parser.add_argument(
        "--ai-per", type=int, default=12, help="crops of an AI picture: there are fewer of them"
    )
    parser.add_argument("--aligned", type=Path)
    parser.add_argument("--aligned-pictures", type=int, default=900)
    parser.add_argument("--part", type=int, default=0)
    parser.add_argument("--parts", type=int, default=1)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    done = args.out / f"bank-{args.part}.npz"
    if done.exists():
        return
    cache = Cache(args.cache)
    rows: list[tuple[int, int, float, int]] = []
    with (args.out / f"bank-{args.part}.rgb").open("wb") as file:

        def put(pixels, index, fake, count):
            for k in range(count):
                # Original and fake of one picture share the draw: only the decoder separates them.
                rng = np.random.default_rng((index, k, 7))
                crop, scale, times = treat(pixels, rng)
                file.write(crop.tobytes())
                rows.append((index, fake, scale, times))

        for index in range(args.part, len(cache), args.parts):
            count = args.ai_per if cache.pictures[index].label else args.per
            put(cache.pixels(index), index, 0, count)
        print(f"{len(rows)} crops", flush=True)
        if args.aligned:
            import torch
            from detector.aligned import Autoencoder, fake

            torch.set_num_threads(1)
            model = Autoencoder(args.aligned)
            human = [i for i, p in enumerate(cache.pictures) if not p.label and min(p.height, p.width) >= 200]
            chosen = np.random.default_rng(11).permutation(human)[: args.aligned_pictures]
            for index in chosen[args.part :: args.parts]:
                pixels = cache.pixels(int(index))
                height, width = (min(v, 320) // 8 * 8 for v in pixels.shape[:2])
                top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
                pixels = np.ascontiguousarray(pixels[top : top + height, left : left + width])
                put(pixels, int(index), 2, 4)
                put(fake(model, pixels), int(index), 1, 4)
            print(f"{len(rows)} crops with aligned pairs", flush=True)
    table = np.array(rows)
    temporary = done.with_suffix(".tmp.npz")
    np.savez(
        temporary,
        picture=table[:, 0].astype(np.int32),
        fake=table[:, 1].astype(np.int8),
        scale=table[:, 2].astype(np.float32),
        encodings=table[:, 3].astype(np.int8),
    )
    temporary.rename(done)


if __name__ == "__main__":
    main()
