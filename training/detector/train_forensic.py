"""Train the forensic expert on a bank of crops, for one strict fold or for all pictures.

    python training/detector/train_forensic.py --bank BANK CACHE [--bank … …] --fold 0 -o RUN --minutes 5

``--fold -1`` trains on everything: the weights that ship. A picture's weight is that of its source; the
loss is group-robust (Sagawa et al. 2020, exponentiated weights over sources) and a sixth of each batch are
aligned pairs, where there are some: a human picture and the same picture as an autoencoder drew it.
Seeds are fixed; the run resumes.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).parents[1]))
from common.folds import held_out, weights
from common.pictures import Cache
from detector.forensic import Forensic

BATCH = 96
# Traces of a decoder are local: more small crops teach more than fewer large ones in the same time.
SIDE = 96
ALIGNED = 16  # per batch: 8 originals with their 8 fakes


class Bank:
    """Crops of one or more banks with their labels; crops of held-out pictures are left out."""

    def __init__(self, folders: list[tuple[Path, Path]], fold: int) -> None:
        self.pixels, where, labels, sources, fakes = [], [], [], [], []
        pairs: dict[tuple[int, int, int], list[int]] = {}
        for number, (folder, cache_folder) in enumerate(folders):
            cache = Cache(cache_folder)
            for table in sorted(folder.glob("bank-*.npz")):
                data = np.load(table)
                part = table.stem.split("-")[1]
                self.pixels.append(
                    np.memmap(folder / f"bank-{part}.rgb", np.uint8, "r").reshape(-1, 128, 128, 3)
                )
                seen: dict[tuple[int, int], int] = {}
                for row, (index, fake) in enumerate(zip(data["picture"], data["fake"], strict=True)):
                    p = cache.pictures[int(index)]
                    if fold >= 0 and held_out(p.label, p.source, fold):
                        continue
                    if fake:
                        k = seen[int(index), int(fake)] = seen.get((int(index), int(fake)), -1) + 1
                        pairs.setdefault((number, int(index), k), [0, 0])[2 - int(fake)] = len(where)
                    where.append((len(self.pixels) - 1, row))
                    labels.append(1 if fake == 1 else p.label)
                    sources.append("aligned" if fake else p.source)
                    fakes.append(int(fake))
        self.where = where
        self.labels = np.array(labels, np.float32)
        names = np.array(sources)
        self.names, self.group = np.unique(names, return_inverse=True)
        self.pairs = np.array(list(pairs.values())).reshape(-1, 2)
        plain = np.array(fakes) == 0
        self.plain = np.flatnonzero(plain)
        chance = weights(self.labels[plain], names[plain])
        self.chance = chance / chance.sum()

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Crops of one batch: sources by their weight, and aligned pairs."""
        count = BATCH - (ALIGNED if len(self.pairs) else 0)
        chosen = rng.choice(self.plain, count, p=self.chance)
        if len(self.pairs):
            chosen = np.concatenate(
                (chosen, self.pairs[rng.integers(0, len(self.pairs), ALIGNED // 2)].ravel())
            )
        return chosen

    def load(self, chosen: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
        """Pixels ``(n, 3, 96, 96)`` float, mirrored or turned upside down at random."""
        crops = []
        for k in chosen:
            part, row = self.where[int(k)]
            top, left = rng.integers(0, 128 - SIDE + 1, 2)
            crop = self.pixels[part][row, top : top + SIDE, left : left + SIDE]
            crop = crop[:, ::-1] if rng.random() < 0.5 else crop
            crops.append(crop[::-1] if rng.random() < 0.2 else crop)
        x = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float()
        return x.contiguous(memory_format=torch.channels_last)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bank", nargs=2, type=Path, action="append", required=True)
    parser.add_argument("--fold", type=int, required=True)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--robust", type=float, default=0.02, help="step of the group weights; 0: off")
    args = parser.parse_args()
    done = args.out / "forensic.pt"
    if done.exists():
        return
    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.fold + 10)
    bank = Bank([tuple(pair) for pair in args.bank], args.fold)
    print(
        f"{len(bank.where)} crops of {len(bank.names)} sources, {len(bank.pairs)} aligned pairs", flush=True
    )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = Forensic().to(device, memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(model.parameters(), lr=args.rate, weight_decay=0.02)
    groups = torch.ones(len(bank.names), device=device)
    aligned = torch.from_numpy(bank.names == "aligned").to(device)
    state, step, spent, start = args.out / "state.pt", 0, 0.0, time.time()
    if state.exists():
        kept = torch.load(state, weights_only=True, map_location=device)
        model.load_state_dict(kept["model"])
        optimiser.load_state_dict(kept["optimiser"])
        step, spent, groups = kept["step"], kept["spent"], kept["groups"]
    rng = np.random.default_rng((args.fold + 1, step))
    average = {k: v.clone() for k, v in model.state_dict().items()}
    total, right, seen = 0.0, 0.0, 0
    while True:
        passed = spent + time.time() - start
        share = step / args.steps if args.steps else passed / (60 * args.minutes)
        if share >= 1:
            break
        rate = args.rate * min(1.0, (step + 1) / 40) * (0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * share)))
        for group in optimiser.param_groups:
            group["lr"] = rate
        chosen = bank.draw(rng)
        x = bank.load(chosen, rng).to(device)
        y = torch.from_numpy(bank.labels[chosen]).to(device)
        with torch.autocast(device, torch.bfloat16):
            logits = model(x)
        # Smoothed targets: a picture of unknown history is never certain.
        each = F.binary_cross_entropy_with_logits(logits.float(), 0.03 + 0.94 * y, reduction="none")
        member = torch.from_numpy(bank.group[chosen]).to(device)
        if args.robust:
            with torch.no_grad():
                groups[member] *= torch.exp(args.robust * (each - each.mean()))
                groups.clamp_(0.5, 2.5)
                # After rescaling nobody can tell a pair apart: left alone, pairs would take half of it.
                groups[aligned] = 1.0
        weight = groups[member]
        loss = (each * weight).sum() / weight.sum()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 2.0)
        optimiser.step()
        decay = min(0.995, (step + 1) / (step + 10))
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                average[name].lerp_(value, 1 - decay)
            else:
                average[name].copy_(value)
        step += 1
        total += float(loss.detach())
        right += float(((logits > 0) == (y > 0.5)).float().mean())
        seen += 1
        if step % 50 == 0:
            speed = step * BATCH / (spent + time.time() - start)
            mean = f"loss {total / seen:.3f} right {right / seen:.3f}"
            print(f"step {step} {share:.0%} {mean} {speed:.0f} crops/s", flush=True)
            total, right, seen = 0.0, 0.0, 0
        if step % 200 == 0:
            kept = {
                "model": model.state_dict(),
                "optimiser": optimiser.state_dict(),
                "step": step,
                "spent": spent + time.time() - start,
                "groups": groups,
            }
            torch.save(kept, state.with_suffix(".tmp"))
            state.with_suffix(".tmp").rename(state)
    torch.save({k: v.cpu() for k, v in average.items()}, done)
    worst = groups.cpu().argsort(descending=True)[:6]
    print("heaviest sources:", {str(bank.names[int(k)]): round(float(groups[int(k)]), 2) for k in worst})
    print(f"{step} steps, {done}", flush=True)


if __name__ == "__main__":
    main()
