"""Train the embedder: distillation, artists apart in the style head, copies together in the copy head.

    python training/embedder/distil.py --views TEACHER_FOLDER CACHE [--views … …] -o RUN --minutes 12

Each step takes 96 pictures: the trunk's answer is pulled to the teacher's (cosine, after the teacher's
mean is taken away); 48 of them come a second time, turned, cut, tinted or covered, and the copy head must
know them again (InfoNCE); half of the batch comes in pairs by one artist, whom the style head must keep
together (supervised contrastive loss, Khosla et al. 2020). One artist in four is never named: style
retrieval is measured on those. Where the cache holds what stands inside the teacher, a further head
answers that too: the middle blocks know of texture what the last has forgotten. Seeds are fixed; the run
resumes from ``RUN/state.pt``.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).parents[1]))
from common.pictures import Cache
from embedder.student import DEEP, Student

BATCH, AGAIN = 96, 48
# Smaller than what the finished model sees (176): two thirds of the work, and pooling hardly notices.
SIDE = 144
STYLED = ("peopleart_wikiart", "asp_illustration", "sd15")
TEMPERATURE = 0.1
HEADS = ("teacher", "deep", "style", "copy")


def held_out(artist: str) -> bool:
    """One artist in four is never named to the model."""
    return hashlib.sha256(artist.encode()).digest()[0] < 64


class Views:
    """Cached views of several collections: pixels, teacher's answer, artist."""

    def __init__(self, folders: list[tuple[Path, Path]]) -> None:
        self.pixels, self.where, targets, self.artist, self.picture, deep = [], [], [], [], [], []
        artists: dict[str, int] = {}
        base = 0
        for folder, cache_folder in folders:
            cache = Cache(cache_folder)
            for table in sorted(folder.glob("teacher-*.npz")):
                data = np.load(table)
                part = table.stem.split("-")[1]
                self.pixels.append(
                    np.memmap(folder / f"views-{part}.rgb", np.uint8, "r").reshape(-1, 224, 224, 3)
                )
                for k, index in enumerate(data["picture"]):
                    p = cache.pictures[int(index)]
                    name = p.artist or (p.path.split("#")[0] if p.source == "sd15" else "")
                    known = p.source in STYLED and name and not held_out(name)
                    self.artist.append(
                        artists.setdefault(f"{p.source}/{name}", len(artists)) if known else -1
                    )
                    self.where.append((len(self.pixels) - 1, k))
                    self.picture.append(base + int(index))
                targets.append(data["embedding"])
                deep.append(data["deep"] if "deep" in data else np.full((len(data["picture"]), DEEP), np.nan))
            base += len(cache)
        answer = np.concatenate(targets)
        answer /= np.linalg.norm(answer, axis=1, keepdims=True)
        self.mean = answer.mean(axis=0)
        self.target = answer - self.mean
        self.target /= np.linalg.norm(self.target, axis=1, keepdims=True)
        inner = np.concatenate(deep).astype(np.float32)
        self.has_deep = np.flatnonzero(np.isfinite(inner[:, 0]))
        inner = (inner - np.nanmean(inner, 0)) / (np.nanstd(inner, 0) + 1e-4)
        self.deep = np.nan_to_num(inner).astype(np.float16)
        self.artist_ids = np.array(self.artist)
        self.picture_ids = np.array(self.picture)
        by_artist = [np.flatnonzero(self.artist_ids == a) for a in range(len(artists))]
        self.by_artist = [views for views in by_artist if len(views) > 1]

    def __len__(self) -> int:
        return len(self.where)

    def load(self, index: int, rng: np.random.Generator) -> np.ndarray:
        """One view at the embedder's size: 85 to 100 % of it, mirrored half the time."""
        from PIL import Image

        part, row = self.where[index]
        image = Image.fromarray(self.pixels[part][row])
        side = rng.uniform(0.88, 1.0) * 224
        left, top = rng.uniform(0, 224 - side, 2)
        image = image.resize(
            (SIDE, SIDE), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side), reducing_gap=2
        )
        rgb = np.asarray(image)
        return rgb[:, ::-1] if rng.random() < 0.5 else rgb


def disturb(x, rng: torch.Generator):
    """Turned up to 12°, cut to 60 %, tinted, dimmed, covered by a banner: the same picture all the same."""
    n = len(x)

    def draw(low, high, *shape):
        return torch.empty(n, *shape).uniform_(low, high, generator=rng)

    angle, scale = draw(-0.22, 0.22), draw(0.62, 1.02)
    flip = torch.where(draw(0, 1) < 0.5, -1.0, 1.0)
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    free = (1 - scale).clamp(0)
    theta = torch.stack(
        [
            torch.stack([cos * flip, -sin, draw(-1, 1) * free], 1),
            torch.stack([sin * flip, cos, draw(-1, 1) * free], 1),
        ],
        1,
    )
    grid = F.affine_grid(theta, list(x.shape), align_corners=False)
    x = F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)
    x = x * draw(0.7, 1.3, 3, 1, 1) + draw(-25, 25, 3, 1, 1)
    grey = x.mean(1, keepdim=True)
    x = torch.where((draw(0, 1) < 0.12).view(-1, 1, 1, 1), grey.expand_as(x), x)
    for k in torch.nonzero(draw(0, 1) < 0.35).flatten().tolist():
        height = int(SIDE * float(torch.empty(1).uniform_(0.08, 0.22, generator=rng)))
        top = 0 if float(torch.rand(1, generator=rng)) < 0.5 else SIDE - height
        x[k, :, top : top + height] = torch.empty(3, 1, 1).uniform_(0, 255, generator=rng)
    if float(torch.rand(1, generator=rng)) < 0.5:
        half = int(SIDE * float(torch.empty(1).uniform_(0.35, 0.8, generator=rng)))
        small = F.interpolate(x, (half, half), mode="bilinear", antialias=False)
        x = F.interpolate(small, (SIDE, SIDE), mode="bilinear")
    return x.clamp(0, 255)


def contrast(a, b, labels_a, labels_b):
    """Supervised contrastive loss of rows of ``a`` against ``b``: equal labels attract."""
    logits = F.normalize(a, dim=1) @ F.normalize(b, dim=1).T / TEMPERATURE
    same = labels_a[:, None] == labels_b[None]
    log = logits - logits.logsumexp(1, keepdim=True)
    return -(log * same).sum(1).div(same.sum(1).clamp(min=1))[same.any(1)].mean()


def supervised(features, labels):
    """Supervised contrastive loss within one batch; rows without a label only push away."""
    logits = F.normalize(features, dim=1) @ F.normalize(features, dim=1).T / TEMPERATURE
    self_pair = torch.eye(len(features), dtype=torch.bool)
    logits = logits.masked_fill(self_pair, -1e4)
    same = (labels[:, None] == labels[None]) & ~self_pair & (labels >= 0)[:, None]
    log = logits - logits.logsumexp(1, keepdim=True)
    return -(log * same).sum(1).div(same.sum(1).clamp(min=1))[same.any(1)].mean()


def batch(views: Views, rng: np.random.Generator) -> np.ndarray:
    """Indices of 96 views: 24 pairs by one artist, the rest drawn evenly."""
    chosen: list[int] = []
    pairs = min(24, len(views.by_artist))
    for artist in rng.choice(len(views.by_artist), pairs, replace=False):
        chosen += list(rng.choice(views.by_artist[artist], 2, replace=False))
    if len(views.has_deep):
        chosen += list(rng.choice(views.has_deep, 32))
    chosen += list(rng.integers(0, len(views), BATCH - len(chosen)))
    return np.array(chosen)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--views", nargs=2, type=Path, action="append", required=True)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=12)
    parser.add_argument("--steps", type=int, default=0, help="instead of minutes: exactly so many")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=6e-4)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(args.seed)
    rng, draws = np.random.default_rng(args.seed), torch.Generator().manual_seed(args.seed)
    views = Views([tuple(pair) for pair in args.views])
    print(f"{len(views)} views, {len(views.by_artist)} artists named", flush=True)
    model = Student()
    model.load_start()
    model = model.to(memory_format=torch.channels_last)
    heads = [p for n, p in model.named_parameters() if n.startswith(HEADS)]
    trunk = [p for n, p in model.named_parameters() if not n.startswith(HEADS)]
    optimiser = torch.optim.AdamW(
        [{"params": trunk, "lr": args.rate}, {"params": heads, "lr": 2.5 * args.rate}], weight_decay=0.02
    )
    start, step, spent, state = time.time(), 0, 0.0, args.out / "state.pt"
    if state.exists():
        kept = torch.load(state, weights_only=True)
        model.load_state_dict(kept["model"])
        optimiser.load_state_dict(kept["optimiser"])
        step, spent = kept["step"], kept["spent"]
        rng = np.random.default_rng((args.seed, step))
    rates = [g["lr"] for g in optimiser.param_groups] if step == 0 else [args.rate, 2.5 * args.rate]
    target = torch.from_numpy(views.target).float()
    sums = np.zeros(4)
    while True:
        passed = spent + time.time() - start
        share = step / args.steps if args.steps else passed / (60 * args.minutes)
        if share >= 1:
            break
        warm = min(1.0, (step + 1) / 30)
        for group, rate in zip(optimiser.param_groups, rates, strict=True):
            group["lr"] = rate * warm * (0.02 + 0.98 * 0.5 * (1 + np.cos(np.pi * share)))
        chosen = batch(views, rng)
        x = torch.from_numpy(np.stack([views.load(int(i), rng) for i in chosen]))
        x = x.permute(0, 3, 1, 2).float().contiguous(memory_format=torch.channels_last)
        again = rng.choice(BATCH, AGAIN, replace=False)
        y = disturb(x[again].contiguous(), draws)
        both = torch.cat((x, y)).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            trunk, answer, style, copy = model(both)
            inner = model.deep(trunk[:BATCH])
        answer, style, copy = answer.float(), style.float(), copy.float()
        near = 1 - (F.normalize(answer[:BATCH], dim=1) * target[chosen]).sum(1).mean()
        labels = torch.from_numpy(views.artist_ids[np.concatenate((chosen, chosen[again]))])
        artists = supervised(style, labels)
        pictures = torch.from_numpy(views.picture_ids[chosen])
        copies = contrast(copy[BATCH:], copy[:BATCH], pictures[again], pictures)
        known = np.flatnonzero(np.isin(chosen, views.has_deep))
        deep = torch.zeros(())
        if len(known):
            seen = inner[known].float().view(-1, 3, 768)
            wanted = torch.from_numpy(views.deep[chosen[known]]).float().view(-1, 3, 768)
            deep = 1 - F.cosine_similarity(seen, wanted, dim=2).mean()
        loss = near + 0.6 * deep + 0.1 * artists + 0.1 * copies
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        sums += [near.item(), artists.item(), copies.item(), deep.item()]
        step += 1
        if step % 25 == 0:
            near_, artists_, copies_, deep_ = sums / 25
            print(
                f"step {step} {share:.0%} teacher {near_:.3f} deep {deep_:.3f} "
                f"artists {artists_:.3f} copies {copies_:.3f} "
                f"{step * (BATCH + AGAIN) / (spent + time.time() - start):.0f} images/s",
                flush=True,
            )
            sums[:] = 0
        if step % 100 == 0:
            passed = spent + time.time() - start
            kept = {
                "model": model.state_dict(),
                "optimiser": optimiser.state_dict(),
                "step": step,
                "spent": passed,
            }
            torch.save(kept, state.with_suffix(".tmp"))
            state.with_suffix(".tmp").rename(state)
    weights = {"model": model.state_dict(), "teacher_mean": torch.from_numpy(views.mean)}
    torch.save(weights, args.out / "student.pt")
    print(f"{step} steps, {args.out / 'student.pt'}", flush=True)


if __name__ == "__main__":
    main()
