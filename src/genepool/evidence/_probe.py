"""The probe that brings file marks and sidecar claims into the catalogue."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from genepool.evidence import _c2pa
from genepool.evidence._read import Findings, examine
from genepool.evidence._readers import OpenReader, open_readers
from genepool.evidence._watermark import testify
from genepool.records import ImageView

if TYPE_CHECKING:
    from genepool.config import Config

_VERSION = "1"
"""Change it whenever the same bytes may give another row: images are then examined again."""


class EvidenceProbe:
    """Reads marks from an image's bytes and its sidecar entry. Picklable; holds no native handle.

    Args:
        anchors: PEM text of trusted C2PA certificate authorities; empty: no signer is trusted.
        archives: Sources whose dates before 2021 are believed.
        watermarks: Whether pixels are searched for generators' invisible watermarks.
        readers: Plug-ins that are heard after our own witnesses.
    """

    name: str = "evidence"
    columns: Mapping[str, str] = {"evidence": "string", "c2pa": "string", "rights": "string"}
    vectors: Mapping[str, int] = {}
    _EMPTY: ClassVar[Mapping[str, Any]] = {"evidence": "[]", "c2pa": "absent", "rights": "[]"}

    def __init__(
        self,
        anchors: str = "",
        archives: Collection[str] = (),
        *,
        watermarks: bool = False,
        readers: tuple[OpenReader, ...] = (),
    ) -> None:
        self.anchors = anchors
        self.archives = tuple(archives)
        self.watermarks = watermarks
        self.readers = readers
        self.version = f"{_VERSION}+{self._digest()}"

    def _digest(self) -> str:
        """Eight hex digits over everything beside the image that decides a row."""
        from importlib.metadata import version

        parts = (version("c2pa-python"), self.anchors, *sorted(self.archives))
        if self.watermarks:
            parts = (*parts, "watermarks 1")
        parts = (*parts, *(reader.identity for reader in self.readers))
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:8]

    @classmethod
    def from_config(cls, config: Config) -> EvidenceProbe:
        """The probe for a configuration (`EvidenceConfig`); its anchor files are read here, in the parent.

        Raises:
            ConfigError: An anchor file cannot be read or holds no certificate.
            PluginError: A reader that is asked for is not installed, or breaks its contract.
        """
        chosen = config.evidence
        anchors = _c2pa.load_anchors(chosen.trust_anchors)
        readers = open_readers(chosen.readers)
        return cls(anchors, chosen.archives, watermarks=chosen.watermarks, readers=readers)

    def prepare(self) -> None:
        """Load the C2PA library and its trust anchors, once per worker."""
        _c2pa.prepare(self.anchors)
        for reader in self.readers:
            reader.prepare()

    def examine(self, view: ImageView) -> Mapping[str, Any]:
        """``evidence`` and ``rights`` (JSON lists) and ``c2pa`` (a word) of one image."""
        found = examine(view.data, view.sample.declared, anchors=self.anchors, archives=self.archives)
        if self.watermarks and (marks := testify(view.pixels)):
            found = replace(found, evidence=(*found.evidence, *marks))
        if said := [item for reader in self.readers for item in reader.read(view)]:
            found = replace(found, evidence=(*found.evidence, *said))
        if not found.evidence and not found.rights and found.c2pa == "absent":
            return self._EMPTY
        return row(found)


def row(found: Findings) -> dict[str, Any]:
    """The catalogue's columns for some findings."""
    import orjson

    return {
        "evidence": orjson.dumps([item.to_json() for item in found.evidence]).decode(),
        "c2pa": found.c2pa,
        "rights": orjson.dumps([right.to_json() for right in found.rights]).decode(),
    }
