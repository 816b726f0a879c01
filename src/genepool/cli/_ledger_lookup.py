"""``genepool ledger lookup IMAGE`` and ``genepool ledger withdraw``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from genepool.cli._ledger_place import digest_of, nearby_workspace, open_ledger, trust_of
from genepool.cli._options import config_option, emit_json, format_option, settings, workspace_option
from genepool.errors import UsageError

if TYPE_CHECKING:
    from genepool.config import Config
    from genepool.provenance import Found

_BY = {"sha256": "same bytes", "pixel": "same raster", "phash": "looks the same"}


@click.command("lookup")
@click.argument("images", nargs=-1, required=True)
@format_option
@config_option
@workspace_option
def lookup(images: tuple[str, ...], output: str, config_file: str | None, workspace: str | None) -> int:
    """Say what the log holds about each image: by its bytes, its raster, or its looks.

    Exit code 0 when every image was found, 1 when one was not.
    """
    from genepool import provenance

    config = settings(config_file)
    _, near = digest_of(images[0])
    where = workspace or (str(near) if (near / "ledger").is_dir() else None)
    ledger = open_ledger(where, config)
    index = provenance.Lookup(ledger, trust_of(config))
    if index.rebuilt:
        click.echo("The log has changed: its look-up index was made anew.", err=True)
    answers = []
    for image in images:
        sha256, pixel, phash = _digests(image, config)
        started = time.perf_counter()
        found = index.find(sha256, pixel, phash)
        answers.append((image, sha256, found, time.perf_counter() - started))
    if output == "json":
        emit_json(
            {
                "schema": "genepool.lookup/1",
                "images": [
                    {
                        "image": image,
                        "sha256": sha.hex(),
                        "entries": [one.to_json() for one in found],
                        "seconds": seconds,
                    }
                    for image, sha, found, seconds in answers
                ],
            }
        )
    else:
        for image, _, found, seconds in answers:
            _print(image, found, seconds)
    return 0 if all(found for _, _, found, _ in answers) else 1


def _digests(image: str, config: Config) -> tuple[bytes, bytes | None, bytes | None]:
    """SHA-256, pixel hash and perceptual hash of a file; the last two where it can be decoded."""
    from hashlib import sha256

    from genepool import scan
    from genepool.records import Item, Sample

    try:
        data = Path(image).read_bytes()
    except OSError as error:
        raise UsageError(f"{image}: cannot be read: {error.strerror}") from None
    digest = sha256(data).digest()
    try:
        view = scan.View(Sample(Item(image, "", image), data), max_pixels=config.scan.max_pixels)
        decoded = view.decoded
        pixel = scan.pixel_digest(decoded.rgb if decoded.rgba is None else decoded.rgba)
        return digest, pixel, scan.perceptual_hash(view.luma())
    except scan.Refusal:
        return digest, None, None


def _print(image: str, found: list[Found], seconds: float) -> None:
    click.echo(f"{image}: {len(found)} entries ({1e3 * seconds:.1f} ms)" if found else f"{image}: not found")
    for one in found:
        lo, hi = one.generation
        generation = f"generation {lo}" + ("" if hi == lo else f" to {hi}" if hi is not None else " or more")
        facts = [one.status, one.origin, generation if one.origin != "unknown" else ""]
        facts += [f"model {one.model}" if one.model else "", f"cohort {one.cohort}" if one.cohort else ""]
        looks = f", {one.distance} of 256 bits differ" if one.matched_by == "phash" else ""
        facts.append("withdrawn" if one.withdrawn else "")
        by = f"by {one.key}" if one.key else "sealed by nobody"
        said = ", ".join(fact for fact in facts if fact)
        click.echo(f"  entry {one.index:,}: {said} ({_BY[one.matched_by]}{looks}; {by})")


@click.command("withdraw")
@click.argument("images", nargs=-1)
@click.option("--cohort", metavar="NAME", help="All of this cohort.")
@click.option("--reason", default="", metavar="TEXT", help="One line that stays in the log.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@format_option
@config_option
@workspace_option
def withdraw(
    images: tuple[str, ...],
    cohort: str | None,
    reason: str,
    yes: bool,
    output: str,
    config_file: str | None,
    workspace: str | None,
) -> int:
    """Take attestations back and erase their details. The entries stay; they count no longer.

    Says first what was made from them (genepool trace).
    """
    from genepool import provenance, store

    if not images and cohort is None:
        raise UsageError("withdraw: expected images or --cohort NAME")
    config = settings(config_file)
    digests = [digest_of(image) for image in images]
    near = digests[0][1] if digests and (digests[0][1] / "ledger").is_dir() else None
    place = store.Workspace(workspace or near or nearby_workspace())
    trail = provenance.open_trail(place, config)
    traces = [provenance.trace_image(trail, sha) for sha, _ in digests]
    traces += [provenance.trace_cohort(trail, cohort)] if cohort is not None else []
    touched = list(dict.fromkeys((one.kind, one.name) for trace in traces for one in trace.reached))
    if output != "json":
        for kind, name in touched:
            click.echo(f"touches {kind} {name}")
    if not yes:
        click.confirm("Withdraw? This cannot be undone", abort=True, err=True)
    count = provenance.withdraw(
        place, cohort=cohort, sha256=[sha for sha, _ in digests], reason=reason, config=config
    )
    if output == "json":
        reached = [{"kind": kind, "name": name} for kind, name in touched]
        emit_json({"schema": "genepool.withdrawal/1", "withdrawn": count, "touches": reached})
        return 0
    click.echo(f"{count:,} attestations withdrawn, their details erased.")
    return 0
