"""The gated order as a stream, for pipelines of ``webdataset`` and for Hugging Face ``datasets``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from genepool.errors import MissingExtra

if TYPE_CHECKING:
    from genepool.integrations._gated import GatedDataset
    from genepool.integrations._sampler import HumanShareSampler
    from genepool.records import Sample

__all__ = ["Stream", "huggingface_stream", "webdataset_stream"]


class Stream:
    """The images of one epoch in a sampler's order, verified as they are read; iterating again: the next one.

    Consecutive images belong to one batch, so grouping them by the sampler's batch size gives its batches.
    Workers of a torch DataLoader share the batches out, whole ones each; they work on copies, so call
    ``sampler.set_epoch`` before each epoch there.

    Args:
        dataset: What was approved.
        sampler: The order.
    """

    def __init__(self, dataset: GatedDataset, sampler: HumanShareSampler) -> None:
        self.dataset = dataset
        self.sampler = sampler

    def examples(self) -> Iterator[tuple[int, int, Sample]]:
        """Batch number within the epoch, position in the dataset, and the image's bytes."""
        worker, workers = _worker()
        start = self.sampler.position
        # A copy of the sampler in each worker walks the whole epoch; a worker reads only its own batches.
        for number, batch in enumerate(self.sampler, start):
            if (number - start) % workers == worker:
                for index in batch:
                    ((_, sample),) = self.dataset.read([index])
                    yield number, index, sample

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """The examples as WebDataset samples: ``__key__``, ``__url__``, the bytes by extension, txt, json."""
        for number, index, sample in self.examples():
            uri = self.dataset.uris[index]
            extension = uri.rpartition(".")[2].lower() if "." in uri else "img"
            facts = {"uri": uri, **self.facts(index), "batch": number}
            yield {
                "__key__": f"{index:09d}",
                "__url__": self.dataset.uri,
                extension if extension.isalnum() else "img": sample.data,
                "txt": (sample.caption or "").encode(),
                "json": _json(facts),
            }

    def __call__(self) -> Iterator[dict[str, Any]]:
        """As iterating: ``webdataset`` calls its stages."""
        return iter(self)

    def facts(self, index: int) -> dict[str, Any]:
        """What is known about an image: whether it is verified human, and its highest possible generation."""
        generation = int(self.dataset.generation[index])
        return {
            "human": bool(self.dataset.human[index]),
            "generation": None if generation < 0 else generation,
        }


def webdataset_stream(dataset: GatedDataset, sampler: HumanShareSampler) -> Any:
    """A ``webdataset.DataPipeline`` over the gated order.

    ``.compose(webdataset.decode("pil"), webdataset.to_tuple("jpg", "txt"), webdataset.batched(n))`` with the
    sampler's batch size as n gives batches that hold the share. Images are read where the order asks for them
    (by byte range inside tar shards), not shard by shard.

    Raises:
        MissingExtra: webdataset is not installed.
    """
    try:
        import webdataset
    except ImportError:
        raise MissingExtra(needs="webdataset", extra="webdataset") from None
    return webdataset.DataPipeline(Stream(dataset, sampler))


def huggingface_stream(dataset: GatedDataset, sampler: HumanShareSampler) -> Any:
    """A ``datasets.IterableDataset`` over the gated order.

    Columns: ``image`` (decoded by the library), ``caption``, ``uri``, ``human``, ``generation`` (null where
    it is not known), ``batch``. ``.batch(sampler.batch_size)`` gives batches that hold the share.

    Raises:
        MissingExtra: datasets is not installed.
    """
    try:
        import datasets
    except ImportError:
        raise MissingExtra(needs="datasets", extra="hf") from None
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "caption": datasets.Value("string"),
            "uri": datasets.Value("string"),
            "human": datasets.Value("bool"),
            "generation": datasets.Value("int32"),
            "batch": datasets.Value("int64"),
        }
    )
    stream = Stream(dataset, sampler)
    return datasets.IterableDataset.from_generator(_rows, features=features, gen_kwargs={"stream": stream})


def _rows(stream: Stream) -> Iterator[dict[str, Any]]:
    for number, index, sample in stream.examples():
        yield {
            "image": {"bytes": sample.data, "path": None},
            "caption": sample.caption or "",
            "uri": stream.dataset.uris[index],
            **stream.facts(index),
            "batch": number,
        }


def _json(facts: dict[str, Any]) -> bytes:
    import orjson

    return orjson.dumps(facts)


def _worker() -> tuple[int, int]:
    """Number of this DataLoader worker and how many there are; 0 of 1 elsewhere."""
    torch = sys.modules.get("torch")
    info = torch.utils.data.get_worker_info() if torch is not None else None
    return (0, 1) if info is None else (int(info.id), int(info.num_workers))
