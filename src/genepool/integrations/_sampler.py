"""`HumanShareSampler`: batches that never hold less human work than the policy asks for."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genepool.errors import CertificateError, PolicyError, UsageError
from genepool.integrations._quotas import Layout, drawn, lay_out, least_human

__all__ = ["HumanShareSampler"]

_SCHEMA = "genepool.sampler/1"


class HumanShareSampler:
    """A batch sampler that keeps the human share in every batch, on every rank, and over the epoch.

    Give it to a ``torch.utils.data.DataLoader`` as ``batch_sampler``; it needs no torch itself. An epoch
    takes every human image once and as many others as the share allows; where there are more, each epoch
    takes another random part of them. An image whose weight is half the largest is in every second epoch on
    average. The order depends on the pool, the seed and the epoch only.

    Args:
        pool: A `GatedDataset`, or ``(n,)`` booleans: True where an image is verified human.
        batch_size: Images in a batch of one rank.
        share: Least human share of every batch, in [0, 1]. None: that of the dataset's policy, else 0.70. It
            cannot be set below the policy's.
        weights: ``(n,)`` finite numbers ≥ 0; weight 0 is never drawn. None: the dataset's, else 1.
        seed: Decides the order.
        rank, world_size: Which process this is, of how many. None: as ``torch.distributed`` says where it is
            initialised, else 0 of 1. Ranks get different batches, all of them the same number.
        drop_last: Leave out the smaller batch at the end of an epoch.

    Raises:
        PolicyError: No human image although a share is asked for, too few images for one batch, a share below
            the policy's.
        UsageError: A number outside its range, weights of another length.
    """

    def __init__(
        self,
        pool: Any,
        batch_size: int,
        *,
        share: float | None = None,
        weights: Any = None,
        seed: int = 0,
        rank: int | None = None,
        world_size: int | None = None,
        drop_last: bool = False,
    ) -> None:
        human = getattr(pool, "human", pool)
        self._human = np.asarray(human, bool)
        if self._human.ndim != 1:
            raise UsageError(f"pool: expected one flag per image, found shape {self._human.shape}")
        self.share = _share(share, getattr(pool, "share", None))
        self.batch_size = _whole(batch_size, "batch_size", 1)
        self.seed = _whole(seed, "seed", 0)
        here, of = _distributed()
        self.world_size = _whole(of if world_size is None else world_size, "world_size", 1)
        self.rank = _whole(here if rank is None else rank, "rank", 0)
        if self.rank >= self.world_size:
            raise UsageError(f"rank: expected less than world_size {self.world_size}, found {self.rank}")
        self.drop_last = drop_last
        given = getattr(pool, "weights", None) if weights is None else weights
        self._weights = _weights(given, len(self._human))
        usable = self._weights > 0
        self._pools = tuple(np.flatnonzero(usable & side) for side in (self._human, ~self._human))
        if not len(self._pools[0]) and self.share > 0:
            raise PolicyError(
                f"expected human images for a share of {self.share:g}, found none among {len(self._human):,}",
                hint="register the folders whose authors you know: genepool register human FOLDER",
            )
        top = float(self._weights.max(initial=0.0)) or 1.0
        # Rounded down, so that no image is asked for twice in one epoch.
        sizes = [int(float(self._weights[pool].sum() / top) + 1e-9) for pool in self._pools]
        if self.share > 0:
            sizes[0] = max(1, sizes[0])
        self._layout = lay_out(
            sizes[0], sizes[1], self.batch_size, self.share, self.world_size, drop_last=drop_last
        )
        self._identity = self._fingerprint()
        self.epoch = 0
        self.position = 0

    # ------------------------------------------------------------------------------- batches

    @property
    def layout(self) -> Layout:
        """Sizes of all batches of an epoch, over all ranks."""
        return self._layout

    def __len__(self) -> int:
        """Batches of this rank in one epoch."""
        return len(self._layout.sizes) // self.world_size

    def __iter__(self) -> Iterator[list[int]]:
        """The batches that are left of this epoch, as lists of positions in the pool.

        `position` moves on before a batch is handed out; after the last one, `epoch` does.
        """
        for batch in self.batches(self.epoch, self.position):
            self.position += 1
            yield batch
        self.epoch += 1
        self.position = 0

    def batches(self, epoch: int, start: int = 0) -> Iterator[list[int]]:
        """This rank's batches of an epoch from the ``start``-th on; changes no state."""
        rng = np.random.default_rng([self.seed, epoch, 0])
        machine = self._layout.machine
        people = self._layout.sizes - machine
        # Which batches get one machine image more than others changes with the epoch.
        full = int((self._layout.sizes == self.batch_size).sum())
        turn = np.concatenate([rng.permutation(full), np.arange(full, len(machine))])
        machine, people = machine[turn], people[turn]
        order = [
            pool[drawn(self._weights[pool], int(counts.sum()), rng)]
            for pool, counts in zip(self._pools, (people, machine), strict=True)
        ]
        ends = [np.cumsum(people), np.cumsum(machine)]
        for step in range(start, len(self)):
            at = step * self.world_size + self.rank
            parts = [
                pool[end[at] - count[at] : end[at]]
                for pool, end, count in zip(order, ends, (people, machine), strict=True)
            ]
            # Shuffled, so that micro-batches cut out of a batch are mixed as well.
            mixed = np.random.default_rng([self.seed, epoch, 1, at]).permutation(np.concatenate(parts))
            found: list[int] = mixed.tolist()
            yield found

    def set_epoch(self, epoch: int) -> None:
        """Go to the start of an epoch (trainers call this; it is not needed when one just iterates)."""
        epoch = _whole(epoch, "epoch", 0)
        if epoch != self.epoch:
            self.epoch, self.position = epoch, 0

    # --------------------------------------------------------------------------------- state

    def state_dict(self, *, epoch: int | None = None, position: int | None = None) -> dict[str, Any]:
        """Where the sampler stands, as plain data.

        A loader with workers reads ahead: batches that this sampler has handed out may not have been trained
        on yet. `GatedLoader` counts what was; with a plain DataLoader pass what your loop has counted.

        Args:
            epoch: Epoch to go on in; None: as handed out.
            position: Batches of that epoch that were trained on; None: as handed out.
        """
        return {
            "schema": _SCHEMA,
            "pool": self._identity,
            "epoch": self.epoch if epoch is None else epoch,
            "position": self.position if position is None else position,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where another sampler over the same pool stood; the order is that of an uninterrupted run.

        Raises:
            CertificateError: The state belongs to other images, weights, batches, ranks or another seed.
            UsageError: Not a sampler's state.
        """
        if state.get("schema") != _SCHEMA:
            raise UsageError(f"sampler state: expected {_SCHEMA}, found {state.get('schema')!r}")
        if state.get("pool") != self._identity:
            raise CertificateError(
                f"sampler state: expected one of this pool and setting ({self._identity[:12]}…), "
                f"found another ({str(state.get('pool'))[:12]}…)",
                hint="resume with the same images, weights, batch size, share, ranks and seed, or start anew",
            )
        self.epoch = _whole(state["epoch"], "epoch", 0)
        self.position = _whole(state["position"], "position", 0)
        if self.position >= len(self):
            self.epoch, self.position = self.epoch + 1, 0

    def _fingerprint(self) -> str:
        digest = hashlib.sha256(self._human.tobytes() + self._weights.astype("<f8").tobytes())
        for value in (self.batch_size, self.share, self.seed, self.world_size, self.drop_last):
            digest.update(f"{value!r}\n".encode())
        return digest.hexdigest()

    def __repr__(self) -> str:
        least = least_human(self.batch_size, self.share)
        return (
            f"HumanShareSampler({len(self)} batches of {self.batch_size}, at least {least} human in each, "
            f"rank {self.rank} of {self.world_size}, seed {self.seed})"
        )


def _share(asked: float | None, policy: float | None) -> float:
    floor = 0.0 if policy is None else float(policy)
    value = (0.70 if policy is None else floor) if asked is None else float(asked)
    if not 0.0 <= value <= 1.0:
        raise UsageError(f"share: expected a number from 0 to 1, found {asked}")
    if value < floor:
        raise PolicyError(
            f"share: expected at least the policy's {floor:g}, found {value:g}",
            hint="lower policy.human_ratio in genepool.toml and check the set again, if that is meant",
        )
    return value


def _whole(value: Any, name: str, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise UsageError(f"{name}: expected a whole number of at least {least}, found {value!r}")
    return int(value)


def _weights(values: Any, n: int) -> NDArray[np.float64]:
    weights = np.ones(n) if values is None else np.asarray(values, np.float64)
    if weights.shape != (n,):
        raise UsageError(f"weights: expected one per image ({n:,}), found shape {weights.shape}")
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise UsageError("weights: expected finite numbers that are not negative")
    return weights


def _distributed() -> tuple[int, int]:
    """Rank and world size where torch is loaded and its process group is up; 0 of 1 elsewhere."""
    torch = sys.modules.get("torch")
    distributed = getattr(torch, "distributed", None)
    if distributed is None or not distributed.is_available() or not distributed.is_initialized():
        return 0, 1
    return int(distributed.get_rank()), int(distributed.get_world_size())
