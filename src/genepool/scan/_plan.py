"""How images are examined, as one digest: change anything that changes rows, and they are made anew."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from genepool import plugins
from genepool.config import Config
from genepool.errors import GenepoolError, PluginError
from genepool.records import Probe
from genepool.scan._digests import PHASH_VERSION, PIXEL_VERSION
from genepool.store import CORE_COLUMNS

_log = logging.getLogger("genepool.scan")

CORE_VERSION = 1
"""Version of the core columns' meaning; raise it when decoding or notes change what rows say."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a scan does with each image.

    Attributes:
        digest: 64 hex digits over everything below.
        probes: Parts that look at each image, in order.
        columns, vectors: What the probes write.
        max_pixels, max_bytes: Bounds beyond which an image is set aside.
    """

    digest: str
    probes: tuple[Probe, ...]
    columns: Mapping[str, str]
    vectors: Mapping[str, int]
    max_pixels: int
    max_bytes: int


def load_probes(config: Config) -> list[Probe]:
    """Every probe of the entry-point group that has something to do under this configuration.

    A stranger's probe that cannot be loaded or made is left out and named in a warning: nobody asked for it
    but its package, and the others' rows do not need it.

    Raises:
        PluginError: One of ours cannot be loaded or made.
    """
    found: list[Probe] = []
    for entry in plugins.entries("probes"):
        try:
            probe = _made(entry, config)
        except PluginError as error:
            if entry.built_in:
                raise
            _log.warning("left out: %s", error)
            continue
        if probe is not None:
            found.append(probe)
    return found


def _made(entry: plugins.Entry, config: Config) -> Probe | None:
    kind = plugins.load("probes", entry.name)
    try:
        probe: Probe | None = kind.from_config(config)
    except GenepoolError:
        raise
    except Exception as error:  # a stranger's constructor may raise anything
        raise PluginError(
            f"probe {entry.name!r} ({entry.target}) cannot be made: {type(error).__name__}: {error}",
            hint=f"reinstall or remove {entry.distribution}",
        ) from error
    if probe is not None and not entry.built_in and (fault := _fault(probe)):
        raise PluginError(
            f"probe {entry.name!r} ({entry.target}): {fault}",
            hint=f"reinstall or remove {entry.distribution}",
        )
    return probe


def _fault(probe: Any) -> str:
    if not isinstance(probe, Probe):
        return "expected name, version, columns, vectors, prepare, examine"
    taken = sorted({"uri", *CORE_COLUMNS} & {*probe.columns, *probe.vectors})
    return f"column {taken[0]!r} is already taken" if taken else ""


def make_plan(config: Config, probes: Sequence[Probe]) -> Plan:
    """Combine limits and probes; their order does not matter, names decide it.

    Raises:
        PluginError: Two probes write the same column, or one breaks the `Probe` protocol.
    """
    import orjson

    ordered = sorted(probes, key=lambda p: str(getattr(p, "name", "")))
    columns: dict[str, str] = {}
    vectors: dict[str, int] = {}
    described: list[dict[str, Any]] = []
    taken = {"uri", *CORE_COLUMNS}
    for probe in ordered:
        if not isinstance(probe, Probe):
            raise PluginError(
                f"probe {type(probe).__name__}: expected name, version, columns, vectors, prepare, examine"
            )
        for name in (*probe.columns, *probe.vectors):
            if name in taken:
                raise PluginError(f"probe {probe.name!r}: column {name!r} is already taken")
            taken.add(name)
        columns.update(probe.columns)
        vectors.update(probe.vectors)
        described.append(
            {
                "name": probe.name,
                "version": probe.version,
                "columns": dict(probe.columns),
                "vectors": dict(probe.vectors),
                "options": getattr(probe, "options", None),
            }
        )
    limits = config.scan
    identity = {
        "core": CORE_VERSION,
        "pixel": PIXEL_VERSION,
        "phash": PHASH_VERSION,
        "max_pixels": limits.max_pixels,
        "max_bytes": limits.max_bytes,
        "probes": described,
    }
    text = orjson.dumps(identity, option=orjson.OPT_SORT_KEYS, default=repr)
    digest = hashlib.sha256(text).hexdigest()
    return Plan(digest, tuple(ordered), columns, vectors, limits.max_pixels, limits.max_bytes)
