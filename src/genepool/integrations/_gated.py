"""`GatedDataset`: the approved images of a dataset, each proven, as it is read, to be the one approved."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genepool.errors import CertificateError, SourceError, UsageError
from genepool.integrations._approval import Approved, approve
from genepool.records import Sample

if TYPE_CHECKING:
    import pyarrow as pa

    from genepool.config import Config
    from genepool.records import Decision
    from genepool.store import Catalogue

__all__ = ["GatedDataset"]


class GatedDataset:
    """A map-style dataset for ``torch.utils.data.DataLoader`` that holds what the gate has approved.

    It refuses to start unless the data are those of the decision. Whenever an image is read, the SHA-256 of
    its bytes is compared with the one that was checked: training stops at the first image that changed. It
    needs no torch itself (a map-style dataset is whatever has a length and items), works on every kind of
    dataset that genepool opens, and can be sent to workers.

    Each item is a mapping: ``pixel_values``, ``caption`` (empty: there is none), ``human`` and ``index``.

    Args:
        data: Anything that `genepool.open` takes.
        decision: A `Decision`, or the path of a decision in JSON or of a certificate. None: the last one in
            the workspace.
        workspace: As for `genepool.check`.
        size: Side of square images in pixels: area-averaged (or enlarged) to it and cut at the centre. None:
            images as they are, which only fit into one batch when they are of equal size.
        transform: Called with the RGB `PIL.Image` (after ``size``); its answer is ``pixel_values``. None:
            float32 ``(3, height, width)`` in [−1, 1].
        weights: Relative frequency of images: a mapping from uri (others: 1) or one number each in the order
            of `uris`.
        generation_weights: Relative frequency by generation (1, 2, …) of machine-made images; the upper end
            counts where it is not exact. Generations not named: 1.
        balance_duplicates: Near-duplicates share the weight of one image.
        config: None: the settings that the decision was made with.

    Attributes:
        uris: Of the approved images, in order.
        human: ``(n,)`` verified human.
        generation: ``(n,)`` highest possible generation; 0 for human work, −1 where it is not known.
        weights: ``(n,)`` relative frequencies for the sampler.
        share: Least human share that the policy allows.
        root: Hex Merkle root of the approved images.
        decision: The decision that was matched.
        workspace: Folder of the workspace.

    Raises:
        CertificateError: Decision and data do not match.
        InsufficientHumanContent, GateError, Undecided: The decision is no pass.
        WorkspaceError: There is no decision yet.
        UsageError: Weights that do not fit.
    """

    def __init__(
        self,
        data: Any,
        decision: Any = None,
        *,
        workspace: Any = None,
        size: int | None = None,
        transform: Callable[[Any], Any] | None = None,
        weights: Mapping[str, float] | Sequence[float] | NDArray[Any] | None = None,
        generation_weights: Mapping[int, float] | None = None,
        balance_duplicates: bool = False,
        config: Config | None = None,
    ) -> None:
        approved = approve(data, decision, workspace, config)
        self._approved: Approved | None = approved
        table = approved.catalogue.table(["uri", "sha256"])
        self.uris: list[str] = table.column("uri").to_pylist()
        self._digests = np.frombuffer(b"".join(table.column("sha256").to_pylist()), np.uint8).reshape(-1, 32)
        items = {item.uri: item for item in approved.dataset.items([])}
        self._items = [items[uri] for uri in self.uris]
        self._source = approved.dataset.source
        self._max_pixels = approved.config.scan.max_pixels
        self.human, self.generation = _standing(approved.origins)
        self.share = float(approved.config.policy.human_ratio)
        self.root = approved.root
        self.decision: Decision = approved.decision
        self.workspace = str(approved.workspace.root)
        self.uri = approved.dataset.uri
        self.size = size
        self.transform = transform
        self.weights = self._weighed(weights, generation_weights)
        if balance_duplicates:
            self.weights = self.weights * _rarity(approved.catalogue)

    @property
    def approved(self) -> Approved:
        """What stands behind it: catalogue, origins, workspace, settings.

        Raises:
            UsageError: This copy was sent to another process.
        """
        if self._approved is None:
            raise UsageError("expected the dataset as it was opened, found a worker's copy")
        return self._approved

    def __getstate__(self) -> dict[str, Any]:
        # Workers read images; what approved them stays where it was decided.
        return {**self.__dict__, "_approved": None}

    # ----------------------------------------------------------------------------- reading

    def __len__(self) -> int:
        return len(self.uris)

    def __getitem__(self, index: int) -> dict[str, Any]:
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return self.__getitems__([index % len(self)])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[dict[str, Any]]:
        """Several items at once: neighbours in one container are read together."""
        found: dict[int, dict[str, Any]] = {}
        for index, sample in self.read(sorted(set(indices))):
            found[index] = {
                "pixel_values": self._shown(sample),
                "caption": sample.caption or "",
                "human": bool(self.human[index]),
                "index": index,
            }
        # A repeated image is decoded once and handed out as often as asked, each time in its own mapping.
        return [dict(found[int(index)]) for index in indices]

    def read(self, indices: Sequence[int]) -> Iterator[tuple[int, Sample]]:
        """The bytes of images, verified, with their captions.

        Raises:
            CertificateError: An image has changed or is gone; it is named.
        """
        samples = self._source.read([self._items[index] for index in indices])
        for index, sample in zip(indices, samples, strict=True):
            uri, expected = self.uris[index], self._digests[index].tobytes()
            if sample.data is None:
                why = sample.case.message if sample.case else "no bytes"
                raise CertificateError(
                    f"{self.uri}: {uri}: expected the approved image, found it unreadable: {why}",
                    hint=f"restore it, or check the set again: genepool check {self.uri}",
                )
            digest = hashlib.sha256(sample.data).digest()
            if digest != expected:
                raise CertificateError(
                    f"{self.uri}: {uri}: expected the approved image, sha256 {expected.hex()[:16]}…, "
                    f"found {digest.hex()[:16]}…: it changed after the check",
                    hint=f"restore it, or check the set again: genepool check {self.uri}",
                )
            yield index, sample

    def pictures(self, indices: Sequence[int], size: int) -> NDArray[np.uint8]:
        """Images as ``(k, size, size, 3)`` uint8, verified and cut like ``size`` cuts them."""
        found = [self._raster(sample, size) for _, sample in self.read(list(indices))]
        return np.stack(found) if found else np.zeros((0, size, size, 3), np.uint8)

    def _shown(self, sample: Sample) -> Any:
        pixels = self._raster(sample, self.size)
        if self.transform is not None:
            from PIL import Image

            return self.transform(Image.fromarray(pixels))
        planes = np.ascontiguousarray(pixels.transpose(2, 0, 1), np.float32)
        planes *= np.float32(1 / 127.5)
        planes -= np.float32(1)
        return planes

    def _raster(self, sample: Sample, size: int | None) -> NDArray[np.uint8]:
        """The pixels that were judged: rotated, on white, as `genepool.scan` decodes them."""
        from genepool.scan import Refusal, View

        try:
            view = View(sample, max_pixels=self._max_pixels)
            return view.pixels if size is None else _square(view.thumbnail(size), size)
        except Refusal as refusal:
            raise SourceError(f"{self.uri}: {sample.item.uri}: cannot be decoded: {refusal}") from None

    # ----------------------------------------------------------------------------- weights

    def _weighed(self, weights: Any, by_generation: Mapping[int, float] | None) -> NDArray[np.float64]:
        if isinstance(weights, Mapping):
            unknown = [uri for uri in weights if uri not in set(self.uris)]
            if unknown:
                raise UsageError(f"weights: expected uris of approved images, found {unknown[0]!r}")
            values = np.array([float(weights.get(uri, 1.0)) for uri in self.uris])
        else:
            values = np.ones(len(self)) if weights is None else np.asarray(weights, np.float64)
        if values.shape != (len(self),) or not np.isfinite(values).all() or (values < 0).any():
            raise UsageError(f"weights: expected {len(self):,} finite numbers that are not negative")
        for generation, weight in (by_generation or {}).items():
            if generation < 1 or not 0 <= weight < float("inf"):
                raise UsageError(
                    f"generation weights: expected generations from 1 and finite weights, found "
                    f"{generation}: {weight}"
                )
            values = np.where(self.generation == generation, values * weight, values)
        return values

    def __repr__(self) -> str:
        return f"GatedDataset({self.uri!r}, {len(self)} approved, {int(self.human.sum())} human)"


def _standing(origins: pa.Table) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    import pyarrow.compute as pc

    human = np.asarray(origins.column("human").to_numpy(zero_copy_only=False), bool)
    high = np.asarray(pc.fill_null(origins.column("hi"), -1).to_numpy(zero_copy_only=False), np.int64)
    return human, np.where(human, 0, high)


def _rarity(catalogue: Catalogue) -> NDArray[np.float64]:
    from genepool.diversity import cluster_weights, duplicate_labels

    return cluster_weights(duplicate_labels(catalogue))


def _square(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """The middle square of a picture whose short side is ``size``; smaller pictures are enlarged first."""
    height, width = pixels.shape[:2]
    if min(height, width) != size:
        from PIL import Image

        scale = size / min(height, width)
        shape = (max(size, round(width * scale)), max(size, round(height * scale)))
        pixels = np.asarray(Image.fromarray(pixels).resize(shape, Image.Resampling.BICUBIC))
        height, width = pixels.shape[:2]
    top, left = (height - size) // 2, (width - size) // 2
    return pixels[top : top + size, left : left + size]
