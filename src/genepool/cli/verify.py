"""``genepool verify``: a certificate, with or without its dataset; or what the logs attest about a set."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from genepool.cli._options import (
    config_option,
    emit_json,
    format_option,
    settings,
    workers_option,
    workspace_option,
)
from genepool.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from genepool.config import Config
    from genepool.provenance import LogPolicy, OriginReport, State, Trust, Verification, Verifier

_WORDS: dict[State, str] = {
    "human": "attested human",
    "ai": "attested AI",
    "other": "attested, neither",
    "disputed": "disputed",
    "unknown": "unknown",
}
_SHOWN = 10
_MARKS = {"good": "✓", "bad": "✗", "open": "·"}
_IMAGES = (".jpg", ".jpeg", ".png", ".webp", ".avif", ".tif", ".tiff", ".gif", ".tar", ".parquet")


@click.command("verify")
@click.argument("path")
@click.argument("data", metavar="[DATASET]", required=False)
@click.option("--vkey", "vkeys", multiple=True, metavar="KEY", help="The issuer's key (vkey text or a file).")
@click.option("--trust", "trust_file", metavar="FILE", help="Trust policy (trust.toml) to use.")
@click.option("--policy", "policy_file", metavar="FILE", help="tlog-policy: logs, witnesses, their quorum.")
@click.option("--roots", metavar="PEM", help="Certificates of time-stamping authorities that you trust.")
@click.option(
    "--headers", metavar="FILE", help="Bitcoin block headers, a line each: height and 160 hex digits."
)
@workers_option
@format_option
@config_option
@workspace_option
def command(
    path: str,
    data: str | None,
    vkeys: tuple[str, ...],
    trust_file: str | None,
    policy_file: str | None,
    roots: str | None,
    headers: str | None,
    workers: int | None,
    output: str,
    config_file: str | None,
    workspace: str | None,
) -> int:
    """Check a certificate offline, or say what the logs attest about a dataset.

    PATH is a certificate: its signature, proofs, cosignatures, anchors and policy are checked, and every
    image of DATASET is hashed again. Neither workspace nor log is needed. Exit code 4 on any change. With
    --config the certified settings must be those of that file.

    PATH is a dataset: says what the logs attest about its images; every log is audited first. Exit code 0
    when the logs are sound, whatever they say about the images; 4 when one is damaged.
    """
    if data is None and not _is_certificate(path):
        if vkeys or trust_file or policy_file or roots or headers:
            raise UsageError(
                f"{path}: --vkey, --trust, --policy, --roots and --headers go with a certificate"
            )
        return _dataset(path, workers, output, config_file, workspace)
    from genepool import provenance

    found = provenance.verify_certificate(
        provenance.read_certificate(path),
        data,
        verifiers=[_vkey(text) for text in vkeys],
        trust=_trust(config_file, trust_file),
        policy=_policy(policy_file),
        roots=_bytes(roots) if roots else b"",
        headers=read_headers(headers) if headers else None,
        config=settings(config_file) if config_file else None,
    )
    if output == "json":
        emit_json({"schema": "genepool.verification/1", "certificate": path, **found.to_json()})
    else:
        _print_verification(found, path, data)
    return 0 if found else 4


# -------------------------------------------------------------------------------------------- certificates


def _is_certificate(path: str) -> bool:
    """A file that is called or begins like one; a damaged beginning must not make it a dataset."""
    place = Path(path)
    if "://" in path or not place.is_file():
        return False
    return not place.name.lower().endswith(_IMAGES)


def _vkey(text: str) -> Verifier:
    from genepool import provenance

    place = Path(text)
    if "+" not in text or place.is_file():
        text = _bytes(text).decode("utf-8", "replace").strip()
    return provenance.Verifier.parse(text)


def _trust(config_file: str | None, trust_file: str | None) -> Trust:
    """The user's own key and trust file; a machine without either trusts nobody."""
    from genepool import provenance

    config: Config = settings(config_file)
    return provenance.load_trust(config, provenance.load_public(config), path=trust_file or "")


def _policy(path: str | None) -> LogPolicy | None:
    from genepool import provenance

    return provenance.load_policy(path) if path else None


def _bytes(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None


def read_headers(path: str) -> dict[int, bytes]:
    """Block headers by height, from lines ``height hex``; ``#`` begins a comment."""
    found = {}
    for number, line in enumerate(_bytes(path).decode("ascii", "replace").splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            height, header = int(words[0]), bytes.fromhex(words[1])
        except (ValueError, IndexError):
            raise ConfigError(f"{path} line {number}: expected a height and 160 hex digits") from None
        if len(words) != 2 or len(header) != 80:
            raise ConfigError(f"{path} line {number}: expected a header of 80 bytes, found {len(header)}")
        found[height] = header
    return found


def _print_verification(found: Verification, path: str, data: str | None) -> None:
    click.echo(path)
    for finding in found.findings:
        click.echo(f"  {_MARKS[finding.state]} {finding.place:<14} {finding.text}")
    if data is None and found:
        click.echo("  · data           not given: nothing was hashed again")
    click.echo("")
    if found:
        about = f"{data}: " if data is not None else ""
        click.echo(f"VALID  {about}{found.summary.get('n', 0):,} images certified to pass.")
    else:
        click.echo(f"INVALID  {found.bad[0].place}: {found.bad[0].text}")
    if data is None and found:
        click.echo(f"Next: genepool verify {shlex.quote(path)} DATASET   (hash every image again)")


# ------------------------------------------------------------------------------------------------ datasets


def _dataset(
    path: str, workers: int | None, output: str, config_file: str | None, workspace: str | None
) -> int:
    from genepool import dataset, provenance, scan, store
    from genepool.cli._progress import progress

    config = settings(config_file, workers)
    opened = dataset.open(path)
    place = store.workspace_for(opened, workspace)
    with progress() as report:
        catalogue = scan.scan(opened, place, config=config, progress=report)
    trail = provenance.open_trail(place, config, dataset=opened)
    found = provenance.report_origins(catalogue, trail)
    if output == "json":
        emit_json({"schema": "genepool.verify/1", "dataset": opened.uri, **found.to_json()})
    else:
        _print(found, path, len(catalogue.cases()))
    return 0


def _print(found: OriginReport, path: str, aside: int) -> None:
    summary = found.summary()
    click.echo(f"{path}: {found.n:,} images, root {found.root[:16]}…")
    for log in summary["logs"]:
        click.echo(f"  log {log['origin']}: {log['size']:,} entries, sound")
    if not summary["logs"]:
        click.echo("  no log yet")
    for state, word in _WORDS.items():
        count = found.counts[state]
        if count or state in ("human", "ai", "unknown"):
            share = count / found.n if found.n else 0.0
            click.echo(f"  {word:<18} {count:>10,}  {share:6.1%}{_makers(found, state)}")
    if found.n_untrusted:
        click.echo(f"  {found.n_untrusted:,} of the unknown are claimed by keys that are not trusted")
    if found.n_recovered:
        makers = sorted({claim.model or claim.cohort for claim in found.recovered.values()} - {""})
        by = f" ({', '.join(makers[:3])})" if makers else ""
        click.echo(f"  {found.n_recovered:,} of the unknown look like images attested as AI{by}: recovered")
    if aside:
        click.echo(f"  {aside:,} files were set aside and are not counted")
    click.echo(
        f"  human share        at least {found.lower:.3f}, at most {found.upper:.3f} (n = {found.n:,})"
    )
    for problem in found.problems[:_SHOWN]:
        click.echo(f"  note: {problem}")
    if found.counts["unknown"]:
        click.echo(f"Next: genepool register human {shlex.quote(path)}   (what you know to be human work)")


def _makers(found: OriginReport, state: State) -> str:
    """The cohorts behind a line, largest first."""
    names = found.cohorts(state)
    if not names:
        return ""
    shown = [f"{name} ({n:,})" for name, n in list(names.items())[:3]]
    more = f", {len(names) - 3} more" if len(names) > 3 else ""
    return f"   {', '.join(shown)}{more}"
