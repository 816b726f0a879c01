"""Pictures a second for the models that ship, by provider and batch size, and what batches do to the numbers.

    python bench/bench_provider.py [--providers cpu cuda] [--batches 1 2 4 8 16 32 64 128 256] [--repeat 6]
    python bench/bench_provider.py --providers cuda --search DEFAULT --out provider.json

Needs numpy and onnxruntime (or onnxruntime-gpu) and this source tree, nothing else: genepool need not be
installed. Pictures are made here (smooth noise of every scale, seed 1). A call takes pictures from the
memory of this process and brings the answers back there, as in a scan. The processor has one thread, as a
worker of the scan has. Per size: the median of ``--repeat`` rounds and their range, which for six rounds
holds the true median with 96.9 % confidence; whether the answers are those of the same provider for single
pictures, to the bit; and how far they lie from those of the processor for single pictures.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import statistics
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

import onnxruntime as ort  # noqa: E402

from genepool.compute import SIZES, Tuning, open_session, tuned  # noqa: E402

MODELS = {
    "embedder": ("embedding/model/embedder.onnx", ("style", "copy", "trunk"), 176),
    "forensic": ("detection/model/forensic.onnx", ("logit",), 192),
}


def pictures(n: int, side: int, seed: int = 1) -> np.ndarray:
    """``(n, side, side, 3)`` uint8: noise whose amplitude falls with frequency, as in photographs."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None, :])
    frequency[0, 0] = 1.0
    found = np.empty((n, side, side, 3), np.uint8)
    for k in range(n):
        for c in range(3):
            spectrum = np.fft.rfft2(rng.normal(size=(side, side))) / frequency
            plane = np.fft.irfft2(spectrum, s=(side, side))
            found[k, ..., c] = np.clip(128 + 45 * plane / plane.std(), 0, 255)
    return found


def one_by_one(answer, shown: np.ndarray) -> list[np.ndarray]:
    rows = [answer(shown[i : i + 1]) for i in range(len(shown))]
    return [np.concatenate(part) for part in zip(*rows, strict=True)]


def in_batches(answer, shown: np.ndarray, size: int) -> list[np.ndarray]:
    rows = [answer(shown[i : i + size]) for i in range(0, len(shown) - size + 1, size)]
    return [np.concatenate(part) for part in zip(*rows, strict=True)]


def rates(answer, shown: np.ndarray, size: int, seconds: float, repeat: int) -> tuple[list[float], float]:
    """Pictures a second of each round, and processor milliseconds per picture over all."""
    answer(shown[:size])
    found, total, used = [], 0, time.process_time()
    for _ in range(repeat):
        n, at, begun = 0, 0, time.perf_counter()
        while time.perf_counter() - begun < seconds:
            answer(shown[at : at + size])
            n += size
            at = at + size if at + 2 * size <= len(shown) else 0
        found.append(n / (time.perf_counter() - begun))
        total += n
    return found, (time.process_time() - used) / total * 1000


def distance(found: list[np.ndarray], reference: list[np.ndarray]) -> dict[str, float]:
    """Greatest absolute difference, and the greatest relative to the reference's own size."""
    apart = max(float(np.abs(a - b[: len(a)]).max()) for a, b in zip(found, reference, strict=True))
    size = [float(np.abs(b).max()) for b in reference]
    relative = max(
        float(np.abs(a - b[: len(a)]).max()) / s for a, b, s in zip(found, reference, size, strict=True)
    )
    return {"absolute": apart, "relative": relative}


def measure(model: str, provider: str, options: argparse.Namespace, reference: dict) -> dict:
    file, outputs, side = MODELS[model]
    data = (ROOT / "src" / "genepool" / file).read_bytes()
    settings = {"cudnn_conv_algo_search": options.search, "use_tf32": "1" if options.tf32 else "0"}
    shown = pictures(max(64, *options.batches), side)
    begun = time.perf_counter()
    opened = open_session(data, provider, settings=settings)
    if opened.provider != provider:
        return {"model": model, "provider": provider, "missing": opened.warning}

    def answer(batch: np.ndarray) -> list[np.ndarray]:
        return opened.session.run(list(outputs), {"rgb": batch})

    answer(shown[:1])
    started = time.perf_counter() - begun
    alone = one_by_one(answer, shown)
    if provider == "cpu":
        reference[model] = alone
    elif model not in reference:
        plain = open_session(data).session
        reference[model] = one_by_one(lambda batch: plain.run(list(outputs), {"rgb": batch}), shown)
    rows = []
    for size in options.batches:
        print(f"… {model} on {provider}, batches of {size}", file=sys.stderr, flush=True)
        found, cpu = rates(answer, shown, size, options.seconds, options.repeat)
        got, again = in_batches(answer, shown, size), in_batches(answer, shown, size)
        rows.append(
            {
                "batch": size,
                "images_per_second": round(statistics.median(found), 1),
                "low": round(min(found), 1),
                "high": round(max(found), 1),
                "n": len(found),
                "cpu_ms": round(cpu, 3),
                "equal_to_single": all(
                    np.array_equal(a, b[: len(a)]) for a, b in zip(got, alone, strict=True)
                ),
                "repeats_itself": all(map(np.array_equal, got, again)),
                "from_cpu_single": distance(got, reference[model]),
            }
        )
    choice: Tuning = tuned(answer, shown, SIZES[provider])
    return {
        "model": model,
        "provider": provider,
        "sha256": hashlib.sha256(data).hexdigest(),
        "first_answer_s": round(started, 2),
        "rows": rows,
        "self_measure": {"size": choice.size, "filled": choice.filled, "equal": list(choice.equal)},
    }


def machine() -> dict:
    processor = platform.processor()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [line.split(":")[1].strip() for line in info.read_text().splitlines() if "model name" in line]
        processor = names[0] if names else processor
    return {
        "processor": processor,
        "cores": os.cpu_count(),
        "load": [round(v, 1) for v in os.getloadavg()],
        "python": platform.python_version(),
        "numpy": np.__version__,
        "onnxruntime": ort.__version__,
        "providers": ort.get_available_providers(),
    }


def show(result: dict) -> None:
    name = f"{result['model']} on {result['provider']}"
    if "missing" in result:
        print(f"{name}: not measured: {result['missing']}")
        return
    choice = result["self_measure"]
    print(
        f"{name} (first answer after {result['first_answer_s']} s; the self-measure takes batches of "
        f"{choice['size']}{', filled up' if choice['filled'] else ''}; equal to single: {choice['equal']})"
    )
    print(
        "  batch   images/s  [range of rounds]       n  cpu ms/image  = single  repeats  off the processor's"
    )
    for row in result["rows"]:
        off, span = row["from_cpu_single"], f"[{row['low']:,.1f}, {row['high']:,.1f}]"
        same, again = ("yes" if row[key] else "no" for key in ("equal_to_single", "repeats_itself"))
        print(
            f"  {row['batch']:5d} {row['images_per_second']:10,.1f}  {span:22} {row['n']:3d} "
            f"{row['cpu_ms']:13.3f}  {same:>8}  {again:>7}  {off['absolute']:.1e} ({off['relative']:.1e})"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--providers", nargs="+", choices=("cpu", "cuda"), default=["cpu", "cuda"])
    parser.add_argument("--models", nargs="+", choices=tuple(MODELS), default=list(MODELS))
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 2, 4, 8, 16, 32, 64, 128, 256])
    parser.add_argument("--seconds", type=float, default=0.5, help="a round")
    parser.add_argument("--repeat", type=int, default=6, help="rounds")
    parser.add_argument("--search", default="HEURISTIC", choices=("HEURISTIC", "DEFAULT", "EXHAUSTIVE"))
    parser.add_argument("--tf32", action="store_true", help="let the card shorten factors to 10 bits")
    parser.add_argument("--out", type=Path, help="JSON, all figures")
    options = parser.parse_args()
    print(json.dumps(machine()))
    print(f"cuda: search {options.search}, tf32 {'on' if options.tf32 else 'off'}")
    results, reference = [], {}
    for model in options.models:
        for provider in options.providers:
            results.append(measure(model, provider, options, reference))
            show(results[-1])
    if options.out:
        options.out.write_text(
            json.dumps(
                {"machine": machine(), "options": {**vars(options), "out": None}, "results": results},
                indent=1,
            )
            + "\n"
        )


if __name__ == "__main__":
    main()
