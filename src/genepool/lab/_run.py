"""`run`: a preset, from nothing or from where it stopped, to a result."""

from __future__ import annotations

import importlib.metadata
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from genepool.lab._exchange import run_exchange
from genepool.lab._files import Folder
from genepool.lab._presets import Preset, load_preset
from genepool.lab._study import run_study
from genepool.lab._summary import summarise, summarise_exchange
from genepool.lab._theory import theory

__all__ = ["SCHEMA", "run"]

SCHEMA = "genepool.lab/1"
_PACKAGES = ("numpy", "scipy", "torch", "scikit-learn", "scikit-image")


def run(
    preset: str | Preset,
    out: str | Path,
    *,
    data: str = "",
    device: str = "auto",
    seeds: int | None = None,
    generations: int | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> dict[str, Any]:
    """Run a preset and write ``result.json``, ``tables.md``, plots and sample grids.

    What is done is kept model by model: the same call in the same folder goes on where it stopped. Equal
    seeds give equal results on one processor.

    Args:
        preset: ``theory``, ``table``, ``policies``, ``exchange``, ``paintings``, ``full``, a TOML file of the
            same form, or a `Preset`.
        out: Folder of the run.
        data: Pictures for studies that ask for ``given``: anything that `genepool.open` takes.
        device: ``auto`` (a GPU where there is one), ``cpu`` or ``cuda``.
        seeds: Number of replicates; None: as the preset says.
        generations: The same.
        progress: Called with steps done, steps in all, and what is being done.

    Returns:
        The content of ``result.json``; see ``docs/concepts/lab.md`` for its form.

    Raises:
        UsageError: Unknown preset, another run in the folder, data missing.
        MeasureError: Too few pictures.
        MissingExtra: torch, scikit-learn or scikit-image is not installed.
    """
    plan = load_preset(preset) if isinstance(preset, str) else preset
    plan = plan.with_(seeds=seeds, generations=generations)
    needs_torch = any(study.generator["kind"] != "mixture" for study in plan.studies)
    if needs_torch:
        from genepool.lab.generators import check_device

        check_device(device)
    folder = Folder(Path(out), {**plan.to_json(), "data": Path(data).name if data else ""})
    done = 0

    def tick(steps: int, what: str) -> None:
        nonlocal done
        done += steps
        if progress is not None:
            progress(min(done, plan.steps), plan.steps, what)

    began = time.monotonic()
    result = _measured(plan, folder, device, data, tick)
    result["wall_seconds_of_last_call"] = round(time.monotonic() - began, 1)
    folder.write("result.json", result, indent=None)
    _shown(result, folder)
    return result


def _measured(
    plan: Preset, folder: Folder, device: str, data: str, tick: Callable[[int, str], None]
) -> dict[str, Any]:
    result: dict[str, Any] = {
        "schema": SCHEMA,
        "preset": plan.name,
        "digest": folder.digest,
        "config": plan.to_json(),
        "versions": _versions(),
        "theory": [check.to_json() for check in theory(0, tick)] if plan.theory else [],
        "studies": [],
        "exchanges": [],
    }
    for study in plan.studies:
        chains = run_study(study, folder, device, tick, data)
        found = {"name": study.name, "about": study.about, "chains": chains}
        result["studies"].append({**found, "summary": summarise(chains, study.generations)})
    for exchange in plan.exchanges:
        rows = run_exchange(exchange, folder, tick, data)
        found = {"name": exchange.name, "about": exchange.about, "rows": rows}
        result["exchanges"].append({**found, "summary": summarise_exchange(exchange.to_json(), rows)})
    result["cpu_seconds"] = round(_cpu(result), 1)
    return result


def _versions() -> dict[str, str]:
    from genepool._version import __version__

    found = {"genepool": __version__}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _cpu(result: dict[str, Any]) -> float:
    """Processor seconds of training, drawing and choosing: generation 1 once a seed."""
    total = 0.0
    for study in result["studies"]:
        firsts: dict[int, float] = {}
        for chain in study["chains"]:
            for row in chain["generations"]:
                if row["generation"] == 1:
                    firsts[chain["seed"]] = row["cpu_seconds"]
                else:
                    total += row["cpu_seconds"]
        total += sum(firsts.values())
    for exchange in result["exchanges"]:
        for row in exchange["rows"]:
            total += row["cpu_seconds"] + sum(t["cpu_seconds"] for t in row["teachers"])
    return total


def _shown(result: dict[str, Any], folder: Folder) -> None:
    from genepool.lab._plots import grids, plots
    from genepool.lab._tables import markdown

    folder.write_bytes("tables.md", markdown(result).encode())
    for name, data in (plots(result) | grids(result, folder)).items():
        folder.write_bytes(name, data)
