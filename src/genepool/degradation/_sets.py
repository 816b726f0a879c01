"""Reading the samples of each generation: vectors, artefact numbers and digests of a random part of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genepool.degradation._artefacts import crop_side, crops_of, describe
from genepool.degradation._pictures import Picture, as_pictures
from genepool.errors import MeasureError, SourceError

if TYPE_CHECKING:
    from genepool.dataset import Dataset
    from genepool.records import Embedder, Sample

__all__ = ["FEWEST", "Reader", "SampleSet"]

FEWEST = 40
"""Pictures that a generation needs at least."""
_BATCH = 256
SIDE = 128
"""Short side of the copies that are compared, at most."""

Embed = Callable[[NDArray[np.uint8]], Any]


@dataclass(frozen=True, slots=True, eq=False)
class SampleSet:
    """One set of pictures, as numbers.

    Attributes:
        name: For people.
        vectors: ``(n, d)`` style vectors.
        artefacts: ``(n, 11)`` numbers of `genepool.degradation._artefacts`, or None: vectors were given.
        rings: ``(n, 24)`` radial spectra, log10 of power, or None.
        digests: SHA-256 (hex) of each picture's file; empty: pictures in memory.
        found: Pictures in the set, of which `n` were drawn.
        aside: Pictures that could not be read.
        sides: Median, smallest and largest short side, in pixels; zeros: vectors were given.
        dataset: What was read; None: arrays.
    """

    name: str
    vectors: NDArray[np.float64]
    artefacts: NDArray[np.float64] | None = None
    rings: NDArray[np.float64] | None = None
    digests: tuple[str, ...] = ()
    found: int = 0
    aside: int = 0
    sides: tuple[int, int, int] = (0, 0, 0)
    dataset: Dataset | None = None

    @property
    def n(self) -> int:
        """Pictures that were measured."""
        return len(self.vectors)

    @property
    def spectrum(self) -> tuple[float, ...]:
        """Mean radial spectrum, 24 numbers; empty where vectors were given."""
        if self.rings is None:
            return ()
        return tuple(round(float(x), 6) for x in np.nanmean(self.rings, axis=0))

    def part(self, rows: Any, name: str) -> SampleSet:
        """Some of its rows under another name."""
        return replace(
            self,
            name=name,
            vectors=self.vectors[rows],
            artefacts=None if self.artefacts is None else self.artefacts[rows],
            rings=None if self.rings is None else self.rings[rows],
            digests=tuple(np.asarray(self.digests)[rows]) if self.digests else (),
        )


class Reader:
    """Reads all sets alike: the same short side, the same crops, the same embedder.

    Pictures of different sizes are brought to one short side, the smallest median of any set and at most 128
    pixels, before they are embedded, because size alone moves a style vector. Artefacts are looked for in
    native crops of one side in all sets.

    Args:
        n: Pictures drawn at random from each set, at most.
        seed: Of the draw.
        embed: ``(k, h, w, 3)`` uint8 pictures → ``(k, d)`` vectors; None: the configured embedder.
        max_pixels: Larger images are set aside.
        progress: As in `genepool.scan.scan`.
    """

    def __init__(
        self,
        *,
        n: int,
        seed: int,
        embed: Embed | None,
        embedder: Embedder | None,
        max_pixels: int,
        progress: Callable[[int, int, int, float], None] | None,
    ) -> None:
        self.n, self.seed, self.max_pixels = n, seed, max_pixels
        self._embed, self._embedder = embed, embedder
        self._progress = progress
        self.side = self.crop = 0
        self.calibrated = False

    def read(self, sources: Sequence[Any], names: Sequence[str]) -> list[SampleSet]:
        """All sets.

        Raises:
            SourceError: A set that cannot be read or holds no image.
            MeasureError: Vectors and pictures mixed; pictures under 8 pixels; too few pictures in a set.
        """
        opened = [self._open(source, name) for source, name in zip(sources, names, strict=True)]
        vectors = [_is_vectors(source) for source in opened]
        if any(vectors) and not all(vectors):
            raise MeasureError("degradation: expected vectors for every set or for none, found both")
        if all(vectors):
            sets = [self._given(s, name) for s, name in zip(opened, names, strict=True)]
        else:
            sides = [self._sides(source) for source in opened]
            self._settle(sides, names)
            sets = [self._measured(*row) for row in zip(opened, names, sides, strict=True)]
        for found in sets:
            if found.n < FEWEST:
                lost = f" ({found.aside} more cannot be read)" if found.aside else ""
                raise MeasureError(
                    f"degradation: {found.name}: expected at least {FEWEST} pictures, found {found.n}{lost}",
                    hint=f"sample at least {FEWEST - found.n} more from this model; "
                    "intervals are useful from about 500 on",
                )
        return sets

    # ------------------------------------------------------------------------------------ opening

    def _open(self, source: Any, name: str) -> Any:
        if isinstance(source, np.ndarray) or hasattr(source, "detach"):
            array = np.asarray(source.detach().cpu() if hasattr(source, "detach") else source)
            if array.ndim == 2:
                if array.dtype.kind != "f" or not np.isfinite(array).all():
                    raise MeasureError(f"degradation: {name}: expected finite vectors (n, d) of floats")
                return self._drawn(array)
            return self._drawn(as_pictures(array))
        if isinstance(source, (list, tuple)):
            if not source:
                raise MeasureError(
                    f"degradation: {name}: expected at least {FEWEST} pictures, found none",
                    hint="give a folder, an array or a list of pictures",
                )
            return self._drawn([_raster(image, name) for image in source])
        from genepool import dataset

        return self._chosen(dataset.open(source))

    def _drawn(self, rows: Any) -> tuple[int, Any]:
        keep = self._choose(len(rows))
        return len(rows), rows[keep] if isinstance(rows, np.ndarray) else [rows[i] for i in keep]

    def _choose(self, count: int) -> NDArray[np.int64]:
        if count <= self.n:
            return np.arange(count)
        return np.sort(np.random.default_rng(self.seed).permutation(count)[: self.n])

    def _chosen(self, opened: Dataset) -> tuple[int, Dataset]:
        from genepool.records import Case

        aside: list[Case] = []
        uris = [item.uri for item in opened.items(aside)]
        opened.require_images(len(uris), aside)
        keep = self._choose(len(uris))
        return len(uris), opened.select([uris[i] for i in keep])

    # ------------------------------------------------------------------------------------ reading

    def _sides(self, source: tuple[int, Any]) -> NDArray[np.int64]:
        """Short sides, from headers only."""
        from genepool.scan import Refusal, read_header

        if isinstance(source[1], np.ndarray):
            return np.full(len(source[1]), min(source[1].shape[1:3]))
        if isinstance(source[1], list):
            return np.array([min(row.shape[:2]) for row in source[1]])
        found = []
        for sample in source[1].samples([]):
            try:
                if sample.data:
                    header, _ = read_header(sample.data, max_pixels=self.max_pixels)
                    found.append(min(header.width, header.height))
            except Refusal:
                continue
        if not found:
            raise SourceError(f"{source[1].uri}: expected images, found none that can be read")
        return np.array(found)

    def _settle(self, sides: Sequence[NDArray[np.int64]], names: Sequence[str]) -> None:
        self.side = int(min(SIDE, *(int(np.median(s)) for s in sides), SIDE))
        # A set of one size need not lose a picture; of mixed ones the smallest twentieth has no crop.
        crops = [crop_side(s) for s in sides]
        self.crop = min(crops)
        if not self.crop:
            raise MeasureError(
                f"degradation: {names[int(np.argmin(crops))]}: expected pictures of at least 8 × 8 pixels"
            )
        if self._embedder is not None:
            self._embedder.prepare()
        self.calibrated = self._embed is None and self.side >= SIDE

    def _measured(self, source: tuple[int, Any], name: str, sides: NDArray[np.int64]) -> SampleSet:
        import time

        vectors: list[NDArray[np.float64]] = []
        small: list[NDArray[np.uint8]] = []
        numbers, rings, digests = [], [], []
        aside = 0
        whole = source[1]
        total = len(whole) if not hasattr(whole, "samples") else len(sides)
        started = time.monotonic()
        for done, (pixels, digest) in enumerate(self._rasters(whole)):
            if self._progress is not None:
                self._progress(done, total, aside, done / max(time.monotonic() - started, 1e-9))
            if pixels is None:
                aside += 1
                continue
            crops = crops_of(pixels, self.crop)
            small.append(Picture(pixels).thumbnail(self.side))
            if len(small) == _BATCH or small[-1].shape != small[0].shape:
                vectors += self._embedded(small)
            row, ring = describe(crops) if len(crops) else (np.full(11, np.nan), np.full(24, np.nan))
            numbers.append(row)
            rings.append(ring)
            if digest:
                digests.append(digest)
        vectors += self._embedded(small)
        return SampleSet(
            name,
            np.asarray(vectors, np.float64).reshape(len(vectors), -1),
            np.array(numbers).reshape(len(numbers), 11),
            np.array(rings).reshape(len(rings), 24),
            tuple(digests),
            source[0],
            aside,
            (int(np.median(sides)), int(sides.min()), int(sides.max())),
            whole if hasattr(whole, "samples") else None,
        )

    def _rasters(self, whole: Any) -> Any:
        if isinstance(whole, (np.ndarray, list)):
            for pixels in whole:
                yield pixels, ""
            return
        for sample in whole.samples([]):
            yield self._decoded(sample)

    def _decoded(self, sample: Sample) -> tuple[NDArray[np.uint8] | None, str]:
        from hashlib import sha256

        from genepool.scan import Refusal, View

        if sample.data is None:
            return None, ""
        try:
            pixels = View(sample, max_pixels=self.max_pixels).pixels
        except Refusal:
            return None, ""
        return pixels, sha256(sample.data).hexdigest()

    def _embedded(self, small: list[NDArray[np.uint8]]) -> list[NDArray[np.float64]]:
        """Vectors of pictures, all but perhaps the last of one size; the list is emptied."""
        found: list[NDArray[np.float64]] = []
        while small:
            alike = [picture for picture in small if picture.shape == small[0].shape]
            rest = [picture for picture in small if picture.shape != small[0].shape]
            if self._embed is not None:
                found += list(np.asarray(self._embed(np.stack(alike)), np.float64).reshape(len(alike), -1))
            else:
                assert self._embedder is not None  # noqa: S101  # one of the two is given
                found += [np.asarray(self._embedder.embed(Picture(one)), np.float64) for one in alike]
            small[:] = rest
        return found

    def _given(self, source: tuple[int, NDArray[Any]], name: str) -> SampleSet:
        return SampleSet(name, np.asarray(source[1], np.float64), found=source[0])


def _is_vectors(source: tuple[int, Any]) -> bool:
    return isinstance(source[1], np.ndarray) and source[1].ndim == 2


def _raster(image: Any, name: str) -> NDArray[np.uint8]:
    """One picture of a list; sizes may differ from picture to picture."""
    array = np.asarray(image.convert("RGB") if hasattr(image, "convert") else image)
    if array.ndim != 3:
        raise MeasureError(f"degradation: {name}: expected pictures (h, w, 3), found one of {array.shape}")
    one: NDArray[np.uint8] = as_pictures(array[None])[0]
    return one
