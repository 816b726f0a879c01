"""The reference panel: what the index measures against. Statistics only, no image can be got back from it."""

from __future__ import annotations

import functools
import hashlib
import json
import math
import os
import zipfile
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genepool.errors import MeasureError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Panel"]

FORMAT = "genepool.panel/1"
_ARRAYS = ("mean", "projection", "prototypes", "shares", "radii", "frequencies")
_NUMBERS = ("reach", "bandwidth", "reference")
_LARGEST = 64 * 1024 * 1024  # bytes unpacked: a panel is small, anything larger is a mistake or an attack


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """Frozen statistics of a broad set of human images.

    Attributes:
        name: Name of the panel, with its version.
        embedder: ``name@version`` of the embedder whose vectors it was made from; no other fits.
        mean: ``(d_raw,)`` mean of the embedder's vectors.
        projection: ``(d_raw, d)`` whitening to d directions of style, strongest first; or ``(d_raw, d + 1)``,
            the last column then being the *artefact axis*, which tells noise from pictures.
        prototypes: ``(K, d)`` or ``(K, d + 1)`` centres of the panel's styles, whitened.
        shares: ``(K,)`` share of the panel at each prototype; they sum to 1.
        radii: ``(K,)`` 95th percentile of the distance of a prototype's members.
        reach: Distance to the nearest prototype up to which an image counts as on support.
        limit: Place on the artefact axis up to which it does; infinite where there is no such axis.
        frequencies: ``(D, d)`` frozen standard normal directions of the random Fourier features.
        bandwidth: Standard deviation of the Gaussian kernel, in whitened units.
        reference: Effective number of styles (order 2) that scores 1 on the index.
        notes: How it was made: sources, counts, seed.
        digest: SHA-256 over everything above except ``notes``, 64 hex digits.
    """

    name: str
    embedder: str
    mean: NDArray[np.float64]
    projection: NDArray[np.float64]
    prototypes: NDArray[np.float64]
    shares: NDArray[np.float64]
    radii: NDArray[np.float64]
    reach: float
    frequencies: NDArray[np.float64]
    bandwidth: float
    reference: float
    limit: float = math.inf
    notes: dict[str, Any] = field(default_factory=dict)
    digest: str = ""

    def __post_init__(self) -> None:
        for name in _ARRAYS:
            # Stored as float32, worked with as float64: sums over parts must agree to 1e-9.
            array = np.ascontiguousarray(getattr(self, name), np.float32)
            if not np.isfinite(array).all():
                raise MeasureError(f"panel {self.name!r}: {name} holds NaN or infinity", hint="make it again")
            object.__setattr__(self, name, array.astype(np.float64))
        self._check_shapes()
        object.__setattr__(self, "digest", self._digest())

    def _check_shapes(self) -> None:
        if math.isnan(self.limit) or self.limit == -math.inf:
            raise MeasureError(f"panel {self.name!r}: limit must be a number, found {self.limit}")
        width = self.projection.shape[-1]
        d = width - 1 if math.isfinite(self.limit) else width
        expected = {
            "mean": (self.projection.shape[0],),
            "prototypes": (len(self.prototypes), width),
            "shares": (len(self.prototypes),),
            "radii": (len(self.prototypes),),
            "frequencies": (len(self.frequencies), d),
        }
        for name, shape in expected.items():
            if getattr(self, name).shape != shape or 0 in shape:
                raise MeasureError(
                    f"panel {self.name!r}: {name} should have shape {shape}, has {getattr(self, name).shape}"
                )
        if not (self.reach > 0 and self.bandwidth > 0 and self.reference > 1):
            raise MeasureError(
                f"panel {self.name!r}: reach and bandwidth must be positive and reference above 1, found "
                f"{self.reach}, {self.bandwidth}, {self.reference}"
            )

    def _digest(self) -> str:
        digest = hashlib.sha256(f"{FORMAT}\n{self.name}\n{self.embedder}\n".encode())
        for name in _NUMBERS:
            digest.update(f"{name} {getattr(self, name)!r}\n".encode())
        if math.isfinite(self.limit):
            digest.update(f"limit {self.limit!r}\n".encode())
        for name in _ARRAYS:
            array = getattr(self, name).astype("<f4")
            digest.update(f"{name} {array.shape}\n".encode() + array.tobytes())
        return digest.hexdigest()

    # ------------------------------------------------------------------------------------ use

    def whiten(self, vectors: NDArray[Any]) -> NDArray[np.float64]:
        """Embedder vectors ``(n, d_raw)`` → whitened ``(n, d)``, or ``(n, d + 1)`` with the artefact axis.

        Raises:
            MeasureError: Another width, or NaN or infinite values (the first row is named).
        """
        vectors = np.asarray(vectors, np.float64)
        if vectors.ndim != 2 or vectors.shape[1] != len(self.mean):
            raise MeasureError(
                f"features: expected (n, {len(self.mean)}) for panel {self.name!r}, found {vectors.shape}",
                hint="scan again with the panel's embedder, or choose another panel: diversity.panel",
            )
        whitened: NDArray[np.float64] = (vectors - self.mean) @ self.projection
        bad = np.flatnonzero(~np.isfinite(whitened).all(axis=1))
        if len(bad):
            raise MeasureError(
                f"features: {len(bad)} of {len(vectors)} rows hold NaN or infinity, first row {bad[0]}",
                hint="scan again: genepool scan PATH --rescan",
            )
        return whitened

    def nearest(self, whitened: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Index of, and distance in style to, the nearest prototype of each row."""
        places, centres = self.style(whitened), self.style(self.prototypes)
        half = 0.5 * np.einsum("kd,kd->k", centres, centres)
        near = (places @ centres.T - half).argmax(axis=1)
        gap = places - centres[near]
        return near, np.sqrt(np.einsum("nd,nd->n", gap, gap))

    def style(self, whitened: NDArray[np.float64]) -> NDArray[np.float64]:
        """The directions of style of whitened rows, without the artefact axis: a view."""
        return whitened[:, : self.frequencies.shape[1]]

    def supported(self, whitened: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which rows lie where human pictures were seen: within `reach` of a prototype, up to `limit`."""
        on: NDArray[np.bool_] = self.nearest(whitened)[1] <= self.reach
        if math.isfinite(self.limit):
            on &= whitened[:, -1] <= self.limit
        return on

    def features(self, whitened: NDArray[np.float64]) -> NDArray[np.float64]:
        """Random Fourier features ``(n, 2D)`` of the Gaussian kernel (Rahimi & Recht 2007), of length 1."""
        angle = self.style(whitened) @ (self.frequencies.T / self.bandwidth)
        waves = np.empty((len(angle), 2 * angle.shape[1]))
        np.cos(angle, out=waves[:, : angle.shape[1]])
        np.sin(angle, out=waves[:, angle.shape[1] :])
        waves *= 1.0 / np.sqrt(angle.shape[1])
        return waves

    def check_embedder(self, found: str) -> None:
        """Refuse vectors of another embedder.

        Raises:
            MeasureError: ``found`` (``name@version``) is not the panel's.
        """
        if found != self.embedder:
            raise MeasureError(
                f"panel {self.name!r} fits embedder {self.embedder}, the images were embedded by {found}",
                hint="genepool scan PATH --rescan with the panel's embedder, or set diversity.panel",
            )

    # ---------------------------------------------------------------------------------- files

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the panel as ``.npz`` (float32 arrays and one JSON text; no pickles)."""
        meta = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in _ARRAYS}
        meta["format"] = FORMAT
        arrays = {name: getattr(self, name).astype(np.float32) for name in _ARRAYS}
        text = np.frombuffer(json.dumps(meta, sort_keys=True).encode(), np.uint8)
        with Path(path).open("wb") as file:
            np.savez_compressed(file, meta=text, **arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str] = "", embedder: str = "") -> Panel:
        """Read a panel.

        Args:
            path: A file that `save` wrote; empty: the panel that the package carries for the embedder.
            embedder: Name of an embedder plug-in; empty: the default one.

        Raises:
            MeasureError: No such file, none for that embedder, not a panel, damaged, or changed after it was
                made.
        """
        place = Path(path) if os.fspath(path) else _packaged(embedder)
        try:
            changed = place.stat().st_mtime_ns
        except OSError as error:
            raise MeasureError(
                f"{place}: no such panel: {error.strerror}", hint="leave diversity.panel empty"
            ) from None
        return _load(str(place), changed)


def _packaged(embedder: str) -> Path:
    from genepool.config import DiversityConfig

    folder = Path(__file__).with_name("panels")
    place = folder / f"{embedder or DiversityConfig().embedder}.npz"
    if not place.is_file():
        known = ", ".join(sorted(p.stem for p in folder.glob("*.npz")))
        raise MeasureError(
            f"no packaged panel fits embedder {place.stem!r}, only {known}",
            hint="make one: genepool panel PATH -o panel.npz, then set diversity.panel",
        )
    return place


@functools.lru_cache(maxsize=8)
def _load(path: str, changed: int) -> Panel:
    hint = "make one: genepool panel PATH -o panel.npz; or leave diversity.panel empty"
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(info.file_size for info in archive.infolist()) > _LARGEST:
                raise MeasureError(f"{path}: more than {_LARGEST} bytes unpacked is no panel", hint=hint)
        with np.load(path, allow_pickle=False) as file:
            meta = json.loads(file["meta"].tobytes())
            arrays = {name: file[name] for name in _ARRAYS}
        if meta.pop("format") != FORMAT:
            raise MeasureError(f"{path}: expected a panel of format {FORMAT}", hint=hint)
        digest = meta.pop("digest")
        panel = Panel(**meta, **arrays)
    except MeasureError:
        raise
    except Exception as error:  # numpy, zipfile and zlib raise a dozen unrelated types on a damaged file
        raise MeasureError(
            f"{path}: not a readable panel: {type(error).__name__}: {error}", hint=hint
        ) from None
    if panel.digest != digest:
        raise MeasureError(f"{path}: the panel was changed after it was made (digest differs)", hint=hint)
    return panel
