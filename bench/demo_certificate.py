"""The story of a certificate, by the real command line: certify, verify a copy, break it, recover.

    python bench/demo_certificate.py [--folder DIR] [--outputs 100]

Three folders of human work and a model with 100 outputs are registered, checked and certified. Dataset and
certificate are copied to another path; a verifier without key, configuration or workspace checks them. Then
one byte is flipped in each of 20 places (10 of the file, 10 of the data): every one must end with exit code 4
and name the place. Last, the outputs are stripped, halved and encoded again as JPEG (quality 75) and looked
up; without scikit-image's photographs (extra ``demo``) it cannot run.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import orjson
from PIL import Image, PngImagePlugin

SIDE = 256


def photographs() -> list[np.ndarray]:
    from skimage import data
    from sklearn.datasets import load_sample_images

    names = "astronaut camera chelsea coffee coins hubble_deep_field immunohistochemistry moon rocket"
    found = [np.asarray(getattr(data, name)()) for name in names.split()]
    found += [np.asarray(image) for image in load_sample_images().images]
    return [np.stack([image] * 3, -1) if image.ndim == 2 else image[..., :3] for image in found]


def crop(pictures: list[np.ndarray], rng: np.random.Generator) -> Image.Image:
    image = Image.fromarray(pictures[int(rng.integers(len(pictures)))])
    edge = int(min(image.size) * rng.uniform(0.4, 1.0))
    x, y = (int(rng.integers(0, side - edge + 1)) for side in image.size)
    return image.crop((x, y, x + edge, y + edge)).resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def make(root: Path, outputs: int) -> None:
    rng = np.random.default_rng(11)
    pictures = photographs()
    for name in ("drawings", "paintings", "photographs"):
        (root / name).mkdir(parents=True)
        for i in range(100):
            crop(pictures, rng).save(root / name / f"{i:03}.jpg", quality=92)
    (root / "outputs").mkdir()
    for i in range(outputs):
        # What a model makes: two crops blended and inverted in one channel, so that none is a photograph.
        one, two = (np.asarray(crop(pictures, rng), np.float64) for _ in range(2))
        share = rng.uniform(0.3, 0.7)
        mixed = share * one + (1 - share) * two[::-1]
        mixed[..., i % 3] = 255 - mixed[..., i % 3]
        said = PngImagePlugin.PngInfo()
        said.add_text("parameters", "a picture\nSteps: 20, Sampler: Euler a, Model: painter")
        Image.fromarray(mixed.astype(np.uint8)).save(root / "outputs" / f"{i:03}.png", pnginfo=said)


def genepool(*arguments: str, home: Path, expect: int | None = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "genepool", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "GENEPOOL_HOME": str(home)},
    )
    if expect is not None and done.returncode != expect:
        raise SystemExit(
            f"genepool {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        )
    return done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where to work; default: a temporary folder")
    parser.add_argument("--outputs", type=int, default=100)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="certificate-", dir=options.folder))
    try:
        print(orjson.dumps(story(folder, options.outputs), option=orjson.OPT_INDENT_2).decode())
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def story(folder: Path, outputs: int) -> dict[str, object]:
    home, nobody = folder / "home", folder / "nobody"
    root, place = folder / "here" / "set", folder / "here" / "set.genepool"
    make(root, outputs)
    place.mkdir()
    for name in ("drawings", "paintings", "photographs"):
        genepool("register", "human", str(root / name), home=home)
    trained = ["--trained-on", "drawings", "--trained-on", "paintings"]
    genepool("register", "model", "painter", *trained, "--workspace", str(place), home=home)
    genepool("register", "outputs", str(root / "outputs"), "--model", "painter", home=home)
    checked = genepool("check", str(root), "--diversity", "0", home=home)
    certificate = place / "certificate.genepool"
    keys = genepool("ledger", "key", "show", "--format", "json", home=home).stdout
    vkey = orjson.loads(keys)["keys"][0]["vkey"]

    there = folder / "there"
    shutil.copytree(root, there / "data")
    paper = Path(shutil.copy(certificate, there / "paper.genepool"))
    verify = ("verify", str(paper), str(there / "data"), "--vkey", vkey)
    started = time.perf_counter()
    good = genepool(*verify, home=nobody)
    seconds = time.perf_counter() - started
    places = [*flip_file(paper, verify, nobody), *flip_data(there / "data", verify, nobody)]
    recovered = recover(folder, root, place, home)
    return {
        "checked": [line for line in checked.stdout.splitlines() if line.startswith(("PASS", "FAIL"))],
        "certificate_bytes": paper.stat().st_size,
        "verified_elsewhere_without_key_or_workspace": good.stdout.splitlines()[-1],
        "verify_seconds_whole_process": round(seconds, 2),
        "flipped": len(places),
        "refused_with_exit_4": sum(code == 4 for _, code, _ in places),
        "place_named": sum(named != "" for _, _, named in places),
        "places": [f"{where}: {named}" for where, _, named in places],
        "outputs_stripped_halved_encoded_again": outputs,
        **recovered,
    }


def flip_file(paper: Path, verify: tuple[str, ...], home: Path) -> list[tuple[str, int, str]]:
    raw = paper.read_bytes()
    found = []
    for at in np.linspace(5, len(raw) - 5, 10).astype(int).tolist():
        changed = bytearray(raw)
        changed[at] ^= 1
        paper.write_bytes(changed)
        done = genepool(*verify, home=home, expect=None)
        line = next((x for x in (*done.stdout.splitlines(), *done.stderr.splitlines()) if _names(x)), "")
        found.append((f"certificate byte {at}", done.returncode, line[:120]))
    paper.write_bytes(raw)
    return found


def _names(line: str) -> bool:
    return line.startswith(("INVALID  ", "GP023 "))


def flip_data(data: Path, verify: tuple[str, ...], home: Path) -> list[tuple[str, int, str]]:
    files = sorted(path for path in data.rglob("*") if path.is_file())
    rng = np.random.default_rng(5)
    found = []
    for number in rng.choice(len(files), 10, replace=False).tolist():
        file = files[number]
        raw = file.read_bytes()
        at = int(rng.integers(len(raw)))
        file.write_bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
        done = genepool(*verify, home=home, expect=None)
        name = file.relative_to(data).as_posix()
        line = next((x for x in done.stdout.splitlines() if _names(x) and name in x), "")
        found.append((f"{name} byte {at}", done.returncode, line[:120]))
        file.write_bytes(raw)
    return found


def recover(folder: Path, root: Path, place: Path, home: Path) -> dict[str, object]:
    stripped = folder / "stripped"
    stripped.mkdir()
    for path in sorted((root / "outputs").iterdir()):
        image = Image.open(path).convert("RGB")
        half = image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)
        half.save(stripped / f"{path.stem}.jpg", quality=75)
    files = sorted(map(str, stripped.iterdir()))
    asked = genepool(
        *("ledger", "lookup", *files, "--workspace", str(place), "--format", "json"), home=home, expect=None
    )
    answers = orjson.loads(asked.stdout)["images"]
    first = [answer["entries"][0] for answer in answers if answer["entries"]]
    right = sum(
        one["status"] == "recovered" and one["model"] == "painter" and one["generation"] == [1, 1]
        for one in first
    )
    times = sorted(answer["seconds"] for answer in answers)
    genepool("check", str(stripped), "--workspace", str(place), home=home, expect=None)
    last = orjson.loads((place / "decision.json").read_bytes())
    return {
        "generation_found_again": right,
        "check_says": last["origins"],
        "lookup_ms_p50": round(1e3 * times[len(times) // 2], 2),
    }


if __name__ == "__main__":
    main()
