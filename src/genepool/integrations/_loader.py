"""`GatedLoader`: a torch DataLoader whose place can be saved, however far its workers have read ahead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from genepool.errors import MissingExtra
from genepool.integrations._sampler import HumanShareSampler

if TYPE_CHECKING:
    from genepool.integrations._gated import GatedDataset

__all__ = ["GatedLoader"]


class GatedLoader:
    """Batches of a `GatedDataset` for training: the human share kept in each, resumable.

    Iterating gives the batches that are left of the present epoch; then the next epoch begins.

    Args:
        dataset: What was approved.
        batch_size: Images in a batch of one rank; not needed when ``sampler`` is given.
        sampler: A `HumanShareSampler` of one's own.
        share, seed, rank, world_size, drop_last: As for `HumanShareSampler`.
        options: For ``torch.utils.data.DataLoader``: ``num_workers``, ``pin_memory``, ``collate_fn`` …

    Attributes:
        dataset: The dataset.
        sampler: The sampler; its own position runs ahead of what was handed out here.
        loader: The ``torch.utils.data.DataLoader``.
        epoch: The epoch that the next batch belongs to.
        position: Batches of it that were handed out.

    Raises:
        MissingExtra: torch is not installed.
        PolicyError, UsageError: As `HumanShareSampler`.
    """

    def __init__(
        self,
        dataset: GatedDataset,
        batch_size: int = 0,
        *,
        sampler: HumanShareSampler | None = None,
        share: float | None = None,
        seed: int = 0,
        rank: int | None = None,
        world_size: int | None = None,
        drop_last: bool = False,
        **options: Any,
    ) -> None:
        try:
            from torch.utils.data import DataLoader
        except ImportError:
            raise MissingExtra(needs="torch", extra="torch") from None
        self.dataset = dataset
        self.sampler = sampler or HumanShareSampler(
            dataset,
            batch_size,
            share=share,
            seed=seed,
            rank=rank,
            world_size=world_size,
            drop_last=drop_last,
        )
        self.loader: Any = DataLoader(dataset, batch_sampler=self.sampler, **options)
        self.epoch, self.position = self.sampler.epoch, self.sampler.position

    def __len__(self) -> int:
        return len(self.sampler)

    def __getattr__(self, name: str) -> Any:
        # What trainers ask a DataLoader for (batch_sampler, num_workers, collate_fn …) is the loader's.
        if name == "loader":
            raise AttributeError(name)
        return getattr(self.loader, name)

    def __iter__(self) -> Iterator[Any]:
        # Whatever workers of an earlier, abandoned pass had asked for is asked for again.
        self.sampler.epoch, self.sampler.position = self.epoch, self.position
        for batch in self.loader:
            self.position += 1
            yield batch
        self.epoch += 1
        self.position = 0

    def set_epoch(self, epoch: int) -> None:
        """Go to the start of an epoch, unless it is the present one."""
        if epoch != self.epoch:
            self.epoch, self.position = int(epoch), 0

    def state_dict(self) -> dict[str, Any]:
        """What was handed out so far, as plain data; equal on all ranks."""
        return self.sampler.state_dict(epoch=self.epoch, position=self.position)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on after what was handed out when the state was saved.

        Raises:
            CertificateError: The state belongs to other images or settings.
        """
        self.sampler.load_state_dict(state)
        self.epoch, self.position = self.sampler.epoch, self.sampler.position
