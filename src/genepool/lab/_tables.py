"""A run's result as tables in Markdown, which a terminal shows as well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["ARTICLE", "markdown", "span", "study_tables"]

ARTICLE = ((0.0, 100.0, 0.89), (0.5, 73.0, 0.71), (0.8, 42.0, 0.53), (0.95, 18.0, 0.31))
"""The article's table: share of machine-made pictures, feature retention in %, style diversity index."""

_HEADS = {
    "retention_first": "UFR, % of gen. 1",
    "retention": "UFR, % of human work",
    "diversity": "SDI",
    "coverage": "coverage",
    "variance": "variance",
    "frechet": "Fréchet",
}


def span(found: dict[str, Any], digits: int = 2) -> str:
    """``mean [lower, upper]``, or the mean alone where one replicate has no interval."""
    if found["mean"] is None:
        return "–"
    if found["lower"] is None:
        return f"{found['mean']:.{digits}f}"
    return f"{found['mean']:.{digits}f} [{found['lower']:.{digits}f}, {found['upper']:.{digits}f}]"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [
        "| " + " | ".join(head) + " |",
        "|" + "---|" * len(head),
        *("| " + " | ".join(row) + " |" for row in rows),
    ]


def markdown(result: dict[str, Any]) -> str:
    """Every table of a run."""
    lines = [f"# Laboratory: {result['preset']}", ""]
    if result["theory"]:
        rows = [
            (
                c["name"],
                f"{c['simulated']:.5f} ± {c['error']:.5f}",
                f"{c['exact']:.5f}",
                c["formula"],
                f"{c['z']:+.1f}",
            )
            for c in result["theory"]
        ]
        lines += [*_table(("what", "simulated ± standard error", "closed form", "formula", "z"), rows), ""]
    for study, plan in zip(result["studies"], result["config"]["studies"], strict=True):
        lines += [f"## {study['name']}", "", study["about"], "", *study_tables(study, plan), ""]
    for exchange in result["exchanges"]:
        lines += [f"## {exchange['name']}", "", exchange["about"], "", *_exchange(exchange["summary"]), ""]
    if result["studies"] or result["exchanges"]:  # the closed forms are not timed
        lines.append(f"Processor time: {result['cpu_seconds']:,.0f} s.")
    return "\n".join(lines).rstrip("\n") + "\n"


def study_tables(study: dict[str, Any], plan: dict[str, Any]) -> list[str]:
    """Generations of each arm, the seeds one by one, verdicts, paired differences."""
    found = study["summary"]
    admission = found["admission"]
    seeds = len(found["seeds"])
    lines = [
        f"{seeds} seeds; generation 1 covers {span(admission['coverage'])} of human work "
        f"({'admitted' if admission['admitted'] else 'refused'}: at least {admission['least']:.0%}). "
        "Means and 95 % intervals over seeds.",
        "",
    ]
    rows = []
    for arm, generations in found["arms"].items():
        for number, row in enumerate(generations, 1):
            if number == 1 and arm != next(iter(found["arms"])):
                continue
            shown = [span(row[name], 1 if "retention" in name else 2) for name in _HEADS]
            rows.append((arm if number > 1 else "all arms", str(number), *shown))
    human = [
        span(found["human_work"][name], 1 if "retention" in name else 2)
        if name in found["human_work"]
        else "–"
        for name in _HEADS
    ]
    rows.append(("people's own work", "", *human))
    lines += [*_table(("arm", "generation", *_HEADS.values()), rows), ""]
    lines += [*_verdicts(study), "", *_seeds(study, plan["generations"]), ""]
    if found["paired"]:
        lines += ["Differences at the last generation, paired by seed:", ""]
        names = ("retention_first", "diversity", "coverage", "variance")
        rows = [
            (p["arm"], p["against"], *(span(p[name], 1 if "retention" in name else 3) for name in names))
            for p in found["paired"]
        ]
        lines += _table(("arm", "minus", *(_HEADS[name] for name in names)), rows)
    for stop in found["stopped"]:
        lines.append(f"Stopped: {stop['arm']}, seed {stop['seed']}: {stop['why']}.")
    return lines


def _verdicts(study: dict[str, Any]) -> list[str]:
    kept = study["summary"]["kept"]
    rows = [
        (arm, v["verdict"], v["why"], span(kept[arm]["retention_first"]), span(kept[arm]["diversity"]))
        for arm, v in study["summary"]["verdicts"].items()
    ]
    return _table(("arm", "verdict", "because", "UFR kept", "SDI kept"), rows)


def _seeds(study: dict[str, Any], generations: int) -> list[str]:
    """Retention and diversity of the last generation, each seed by itself."""
    seeds = study["summary"]["seeds"]
    rows = []
    for arm in study["summary"]["arms"]:
        cells = []
        for seed in seeds:
            chain = next((c for c in study["chains"] if c["arm"] == arm and c["seed"] == seed), None)
            whole = chain is not None and len(chain.get("measures", ())) == generations
            last = chain["measures"][-1] if chain is not None and whole else None
            cells.append(
                "stopped"
                if last is None
                else f"{last['retention_first'][0]:.0f} / {last['diversity'][0]:.2f}"
            )
        rows.append((arm, *cells))
    head = ("UFR / SDI at the end", *(f"seed {seed}" for seed in seeds))
    return _table(head, rows)


def _exchange(found: dict[str, Any]) -> list[str]:
    rows = []
    for r in found["rates"]:
        edge = ""
        if r["above_yardstick"]:
            edge = f"{r['above_yardstick']} of {r['worth']['n']} seeds beyond the largest human set"
        elif r["below_yardstick"]:
            edge = f"{r['below_yardstick']} of {r['worth']['n']} seeds below the smallest"
        rows.append(
            (
                f"{r['root']:,}",
                str(r["generation"]),
                f"{r['synthetic']:,}",
                span(r["worth"], 0),
                f"{r['per_synthetic']:.3g}",
                f"{r['per_root']:.2f}",
                edge,
            )
        )
    head = ("root", "generation", "machine-made", "worth so many human", "each", "per root picture", "")
    lines = [*_table(head, rows), ""]
    claims = [
        (
            c["scale"],
            f"{c['human']:,}",
            f"{c['synthetic']:,}",
            f"{c['root']:,}",
            str(c["generation"]),
            span(c["difference"], 3),
            c["verdict"],
        )
        for c in found["claims"]
    ]
    return lines + _table(
        (
            "scale",
            "human",
            "machine-made",
            "root",
            "generation",
            "difference of log-likelihood",
            "human better",
        ),
        claims,
    )
