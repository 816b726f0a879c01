"""The logs in other people's formats."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal, get_args

import orjson

from genepool.config import Config
from genepool.errors import UsageError, WorkspaceError
from genepool.provenance._export_croissant import croissant
from genepool.provenance._export_cyclonedx import cyclonedx
from genepool.provenance._export_eu import eu_summary
from genepool.provenance._export_facts import SOURCE_KINDS, About, Facts, gather
from genepool.provenance._export_prov import prov
from genepool.provenance._export_spdx import spdx
from genepool.provenance._files import atomic_write
from genepool.provenance._trail import Trail, open_trail
from genepool.store import Workspace

__all__ = ["FORMATS", "ExportFormat", "export_log", "render"]

ExportFormat = Literal["croissant", "prov", "spdx", "cyclonedx", "eu-summary", "jsonl"]
FORMATS: tuple[str, ...] = get_args(ExportFormat)


def render(trail: Trail, kind: str, name: str, about: About | None = None) -> dict[str, bytes]:
    """The files of one export, by name; the first is the one that was asked for.

    Args:
        trail: Logs that were read.
        kind: One of `FORMATS`.
        name: Name of the file.
        about: What only the user knows.

    Raises:
        UsageError: An unknown format, cohort or kind of source.
    """
    about = about or About()
    if not about.at:
        about = replace(about, at=int(time.time()))
    for cohort, source in about.sources.items():
        if cohort not in trail.cohorts:
            known = ", ".join(trail.cohorts) or "none"
            raise UsageError(f"source of {cohort!r}: expected a registered cohort, found {known}")
        if source not in SOURCE_KINDS:
            raise UsageError(f"source of {cohort!r}: expected {', '.join(SOURCE_KINDS)}, found {source!r}")
    facts = gather(trail, about)
    if kind == "jsonl":
        return {name: b"".join(_lines(facts))}
    if kind == "croissant":
        table = b"".join(_lines(facts))
        beside = f"{name.removesuffix('.json').removesuffix('.croissant')}.origins.jsonl"
        return {name: croissant(facts, table, beside), beside: table}
    writers = {"prov": prov, "spdx": spdx, "cyclonedx": cyclonedx, "eu-summary": eu_summary}
    if kind not in writers:
        raise UsageError(f"export: expected {', '.join(FORMATS)}, found {kind!r}")
    return {name: writers[kind](facts)}


def _lines(facts: Facts) -> Iterator[bytes]:
    for image in facts.images():
        yield orjson.dumps(image.to_json()) + b"\n"


def export_log(
    workspace: Workspace,
    kind: str,
    path: str | Path,
    about: About | None = None,
    config: Config | None = None,
) -> list[Path]:
    """Write what a workspace's logs say in another format. Every log is audited first.

    Returns:
        The files that were written.

    Raises:
        UsageError: An unknown format, cohort or kind of source.
        IntegrityError: A log does not verify.
        WorkspaceError: The file cannot be written.
    """
    target = Path(path)
    trail = open_trail(workspace, config)
    written = []
    for name, data in reversed(render(trail, kind, target.name, about).items()):
        place = target.with_name(name)
        try:
            atomic_write(place, data)
        except OSError as error:
            raise WorkspaceError(f"{place}: cannot be written: {error.strerror or error}") from None
        written.append(place)
    return written[::-1]
