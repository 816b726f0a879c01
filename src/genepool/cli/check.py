"""``genepool check PATH``: the one verb to learn."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import click

from genepool.cli._options import (
    complete_codes,
    config_option,
    emit_json,
    format_option,
    settings,
    workers_option,
    workspace_option,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from genepool.records import Decision, Measure

__all__ = ["command", "emit", "policy_options", "render"]


def policy_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Options that change the policy of one call."""
    for option in (
        click.option("--human-ratio", type=float, metavar="X", help="Floor of the guaranteed human share."),
        click.option("--diversity", type=float, metavar="X", help="Floor of the style diversity index."),
        click.option("--max-generation", type=int, metavar="N", help="Highest generation allowed."),
        click.option(
            "--watermarks", is_flag=True, help="Look for invisible marks of Stable Diffusion, SDXL, FLUX."
        ),
        click.option(
            "--select",
            multiple=True,
            metavar="GPnnn",
            shell_complete=complete_codes,
            help="Only these rules (prefixes allowed).",
        ),
        click.option(
            "--ignore",
            multiple=True,
            metavar="GPnnn",
            shell_complete=complete_codes,
            help="Not these rules (prefixes allowed).",
        ),
        click.option("--baseline", metavar="FILE", help="An earlier decision: fail only on getting worse."),
    ):
        function = option(function)
    return function


@click.command("check")
@click.argument("path")
@policy_options
@workers_option
@format_option
@config_option
@workspace_option
def command(
    path: str,
    workspace: str | None,
    config_file: str | None,
    output: str,
    workers: int | None,
    **policy: Any,
) -> int:
    """Judge the images of PATH: a folder, tar shards, Parquet files.

    Ends with PASS (exit code 0), FAIL (1) or UNDECIDED (5), writes a report, and seals the origin of every
    image and the decision in the log.
    """
    return run(path, workspace, config_file, output, workers, record=True, **policy)


def run(
    path: str,
    workspace: str | None,
    config_file: str | None,
    output: str,
    workers: int | None,
    *,
    record: bool,
    human_ratio: float | None,
    diversity: float | None,
    max_generation: int | None,
    watermarks: bool,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    baseline: str | None,
) -> int:
    """Check and print; shared with ``genepool gate``, which writes no report and nothing into the log."""
    from genepool import dataset, pipeline, store
    from genepool.cli._progress import progress
    from genepool.compute import lean

    config = settings(
        config_file,
        workers,
        policy__human_ratio=human_ratio,
        policy__diversity=diversity,
        generation__max=max_generation,
        evidence__watermarks=True if watermarks else None,
    )
    if not config.policy.rules:  # a stranger's rule may work with pandas
        lean(patient=True)
    opened = dataset.open(path)
    with progress() as report:
        decision = pipeline.check(
            opened,
            workspace=workspace,
            config=config,
            progress=report,
            select=select,
            ignore=ignore,
            baseline=baseline,
            record=record,
        )
    place = store.workspace_for(opened, workspace)
    emit(decision, output, report=place.report if record else None)
    return decision.exit_code


def emit(decision: Decision, output: str, *, report: Path | None = None) -> None:
    """Print a decision on stdout as ``text``, ``json`` or ``github``."""
    if output == "json":
        emit_json(decision.to_json())
    elif output == "github":
        click.echo("\n".join(workflow_commands(decision)))
    else:
        click.echo(render(decision, report=report))


# -------------------------------------------------------------------------------------------- text

_WORDS = {
    "pass": "PASS  this set may train a model.",
    "fail": "FAIL  this set should not train a model.",
    "undecided": "UNDECIDED  the evidence is too thin to say; people or provenance can settle it.",
}
_MARK = {True: "✓", False: "✗", None: "?"}
_PEDIGREE = {"no origin": "of no verified origin"}
"""What is declared or inferred is known to somebody, and verified by nobody."""


def render(decision: Decision, *, report: Path | None = None) -> str:
    """The decision as people read it in a terminal: numbers with their bounds, verdict, next commands."""
    extra = decision.extra
    timing = extra.get("timing", {})
    head = [
        f"genepool {extra.get('versions', {}).get('genepool', '')}".strip(),
        decision.uri,
        f"{decision.n:,} images",
    ]
    if timing:
        known = f" ({timing['reused']:,} known)" if timing["reused"] else ""
        head.append(f"{timing['total']:.1f} s{known}")
    lines = [" · ".join(head)]
    lines += [f"  {name:<11} {text}" for name, text in _facts(decision)]
    lines += [
        f"  {m.title:<11} {_number(m):<28} {_bound(m):<14} {_MARK[m.ok]}{_note(m)}"
        for m in decision.measures.values()
    ]
    if aside := len(decision.set_aside):
        reasons = ", ".join(f"{n:,} {why}" for why, n in decision.to_json()["set_aside"]["cases"].items())
        lines.append(f"  {'set aside':<11} {aside:,}: {reasons}")
    if changes := decision.extra.get("changes"):
        counts = ", ".join(f"{found['n']:,} {kind}" for kind, found in changes.items() if found["n"])
        lines.append(f"  {'since then':<11} {counts}")
    lines += [f"  {'remark':<11} {text}" for text in decision.extra.get("remarks", ())]
    lines += ["", _verdict(decision)]
    for failure in decision.failures:
        mark = "?" if failure.status == "undecided" else "✗"
        lines += [f"  {failure.code} {mark} {failure.message}", f"          → {failure.hint}"]
    lines += [
        f"  {tolerated['code']} = {tolerated['message']} (as in the baseline)"
        for tolerated in extra.get("tolerated", [])
    ]
    lines += _kept(extra.get("ledger", {}), shlex.quote(decision.uri))
    if report is not None and report.exists():
        why = (
            f"      Why a rule exists: genepool explain {decision.failures[0].code}"
            if decision.failures
            else ""
        )
        lines += ["", f"Report: {report} ({report.stat().st_size / 1000:,.0f} kB){why}"]
    return "\n".join(lines)


def _kept(ledger: Mapping[str, Any], data: str) -> list[str]:
    """What the check left behind: the certificate, and aloud that a key was made."""
    lines = []
    if certificate := ledger.get("certificate"):
        lines += ["", f"Certificate: {certificate}"]
        lines.append(f"  anyone can check it offline: genepool verify {shlex.quote(certificate)} {data}")
    if ledger.get("key_created"):
        lines += ["", f"A key was made for you: {ledger['key']}"]
        lines.append(f"  It lies in {ledger['key_place']}; only you can read it. Keep a copy of it.")
    return lines


def _verdict(decision: Decision) -> str:
    """The last word, with everything that narrows it."""
    if decision.status != "pass":
        return _WORDS[decision.status]
    extra = decision.extra
    approved = extra.get("approved", {})
    if extra.get("tolerated"):
        where = extra.get("baseline", {}).get("uri", "")
        return f"PASS  nothing is worse than in the baseline of {where}; by itself this set does not pass."
    if skipped := decision.policy.get("not_applied"):
        return f"PASS  the rules that were applied; not applied: {', '.join(skipped)}. No certificate."
    if approved.get("root", decision.root) != decision.root:
        aside = decision.n - approved["n"]
        return (
            f"PASS  {approved['n']:,} images may train a model, without the {aside:,} that are set aside.\n"
            f"          → genepool export {shlex.quote(decision.uri)} -o OUT"
        )
    return _WORDS["pass"]


def _facts(decision: Decision) -> list[tuple[str, str]]:
    extra = decision.extra
    facts = []
    if origins := extra.get("origins"):
        facts.append(("origins", " · ".join(f"{n:,} {tier}" for tier, n in origins.items())))
    if generations := extra.get("generations"):
        text = " · ".join(
            f"{n:,} gen {g}" if g[0].isdigit() else f"{n:,} {_PEDIGREE.get(g, g)}"
            for g, n in generations.items()
        )
        facts.append(("pedigree", text))
    if disputed := extra.get("disputed"):
        facts.append(
            ("disputed", f"{disputed:,} images whose evidence contradicts itself (GP201), counted as unknown")
        )
    if judge := extra.get("detector"):
        text = f"{judge['decided']:,} decided · {judge['abstained']:,} abstained"
        facts.append(("pixel judge", f"{text}: {judge['note']}" if judge["abstained"] else text))
        if failed := judge.get("failed"):
            facts.append(("", f"failed on {failed:,}: {judge['failure'].removeprefix('failed: ')}"))
    if ledger := extra.get("ledger"):
        facts.append(("log", f"{ledger['size']:,} entries, root {ledger['root'][:16]}…"))
    return facts


def _number(m: Measure) -> str:
    if m.value is None:
        return "not measured"
    if m.name == "generation":
        return f"highest known {m.value:.0f}"
    if m.name == "human_ratio" and m.lower is not None:
        # What is guaranteed comes first: the middle of an interval of ignorance says nothing.
        return f"≥ {m.lower:.3f}  [{m.lower:.3f}, {m.upper:.3f}]"
    if m.lower == m.upper:
        return f"{m.value:.3f}"
    lower = "" if m.lower is None else f"{m.lower:.3f}"
    upper = "" if m.upper is None else f"{m.upper:.3f}"
    return f"{m.value:.3f}  [{lower}, {upper}]"


def _bound(m: Measure) -> str:
    if m.bound is None:
        return ""
    return f"{m.bound_kind} {m.bound:.0f}" if m.name == "generation" else f"{m.bound_kind} {m.bound:.2f}"


def _note(m: Measure) -> str:
    return f"  {m.note}" if m.note else ""


# ------------------------------------------------------------------------------------------ github

_SHOWN = 20


def workflow_commands(decision: Decision) -> list[str]:
    """GitHub workflow commands: one per rule, then up to 20 per rule for its files."""
    lines = []
    for failure in decision.failures:
        level = "error" if failure.status == "fail" else "warning"
        lines.append(
            f"::{level} title={_escape(failure.code, True)}::{_escape(f'{failure.message} → {failure.hint}')}"
        )
        lines += [
            f"::{level} file={_escape(f'{decision.uri}/{case.uri}', True)},title={failure.code}"
            f"::{_escape(case.message)}"
            for case in failure.cases[:_SHOWN]
        ]
        if (more := len(failure.cases) - _SHOWN) > 0:
            lines.append(
                f"::notice title={failure.code}::{more:,} more; "
                f"all of them: genepool report {shlex.quote(decision.uri)}"
            )
    lines.append(f"::notice title=genepool::{_escape(_WORDS[decision.status])}")
    return lines


def _escape(text: str, value: bool = False) -> str:
    """Escape workflow-command data; property values also lose ``:`` and ``,``."""
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return text.replace(":", "%3A").replace(",", "%2C") if value else text
