"""The story: register what is known, check, set the offenders aside, check the rest."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from genepool.demo._gallery import MODELS, Gallery, make_gallery
from genepool.demo._photos import load_photos
from genepool.demo._place import clear, mark

if TYPE_CHECKING:
    from genepool.config import Config
    from genepool.records import Decision, Estimate
    from genepool.store import Catalogue, Workspace

__all__ = ["FIRST", "SECOND", "Ending", "Story", "run"]

COHORTS = ("demo-photographs", "demo-drawings")


@dataclass(frozen=True, slots=True)
class Ending:
    """How a check is expected to end: its status and the codes of exactly the rules that do not hold."""

    status: str
    codes: tuple[str, ...]

    def __str__(self) -> str:
        return self.status.upper() + (f" ({', '.join(self.codes)})" if self.codes else "")


FIRST = Ending("fail", ("GP101", "GP401"))
"""Too little human work, and a third generation; thresholds are the defaults."""
SECOND = Ending("pass", ())


@dataclass(frozen=True, slots=True)
class Story:
    """What happened.

    Attributes:
        gallery: What was made.
        first: The decision on all of it.
        second: The decision on what was left.
        clean: Folder of what was left.
        reports: The pages of both decisions.
        parts: Style diversity index of the human part and of each machine generation, alone.
        differences: Where the story did not go as expected, a sentence each; empty: it did.
    """

    gallery: Gallery
    first: Decision
    second: Decision
    clean: Path
    reports: tuple[Path, Path]
    parts: dict[str, Estimate]
    differences: tuple[str, ...]


def run(
    directory: Path,
    *,
    seed: int = 7,
    config: Config | None = None,
    say: Callable[[str], None] | None = None,
    show: Callable[[Decision, Path], None] | None = None,
    progress: Callable[[int, int, int, float], None] | None = None,
) -> Story:
    """Make the gallery, register it, check it, export what passed, check that.

    ``directory``, ``directory.genepool``, ``directory-clean`` and ``directory-clean.genepool`` are made anew;
    what an earlier demo left there is removed.

    Args:
        directory: Where the gallery goes.
        seed: Of the gallery.
        config: Settings; its policy should be the default one. None: the defaults. The demo's own certificate
            authority is trusted in addition.
        say: Told each step, a sentence at a time.
        show: Given each decision and the path of its report.
        progress: As for `genepool.pipeline.check`.

    Raises:
        UsageError: One of the folders holds something that the demo did not make.
        MissingExtra: scikit-image or scikit-learn is not installed.
    """
    from genepool import dataset, gate, pipeline, scan, store
    from genepool.config import Config

    tell = say or (lambda _: None)
    directory = Path(os.path.abspath(directory))  # noqa: PTH100  # `..` removed, links left for clear to refuse
    clean = directory.with_name(f"{directory.name}-clean")
    places = [directory, clean, _beside(directory), _beside(clean)]
    load_photos()  # what is missing is said before anything is removed
    clear(*places)
    gallery = make_gallery(directory, seed=seed, say=tell)
    tell(_made(gallery))
    for place in places[2:]:
        mark(place)
    settings = config or Config()
    anchors = (*settings.evidence.trust_anchors, str(gallery.anchor))
    settings = settings.with_(evidence__trust_anchors=anchors)

    opened = dataset.open(directory)
    workspace = store.workspace_for(opened)
    catalogue = scan.scan(opened, workspace, config=settings, progress=progress)
    _register(gallery, catalogue, workspace, settings, tell)
    parts = _diversity(gallery, catalogue, settings)
    tell("style diversity of each part alone: " + ", ".join(f"{k} {v:.2f}" for k, v in parts.items()))
    first = pipeline.check(opened, config=settings, progress=progress)
    if show:
        show(first, workspace.report)

    differences = [*_compare("the first check", first, FIRST), *_compare_images(gallery, first)]
    n = gate.export_approved(catalogue, workspace, first, clean).n
    mark(clean, [p.relative_to(clean).as_posix() for p in clean.rglob("*") if p.is_file()])
    tell(f"exported the {n:,} approved pictures to {_short(clean)}, with the log that knows their origins")
    remaining = dataset.open(clean)
    second = pipeline.check(remaining, config=settings, progress=progress)
    report = store.workspace_for(remaining).report
    if show:
        show(second, report)
    differences += _compare("the second check", second, SECOND)
    return Story(gallery, first, second, clean, (workspace.report, report), parts, tuple(differences))


def _beside(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.genepool")


def _short(path: Path) -> str:
    """Relative to the current folder where that is shorter."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _made(gallery: Gallery) -> str:
    n = {name: len(files) for name, files in gallery.groups.items()}
    human, first = n["photographs"] + n["drawings"], n["signed"] + n["tagged"]
    return (
        f"made {_short(gallery.root)}: {gallery.readable} pictures, {gallery.size / 1e6:.1f} MB, "
        f"in {gallery.seconds:.0f} s\n"
        f"    {human:>3} human work        {n['copies']} smaller or recompressed copies\n"
        f"    {first:>3} of generation 1   {n['computed']} computed without a model\n"
        f"    {n['third']:>3} of generation 3   {n['found']} AI pictures that nobody registered\n"
        f"    and {n['damaged']} damaged files"
    )


# ---------------------------------------------------------------------------------------- the steps


def _register(
    gallery: Gallery,
    catalogue: Catalogue,
    workspace: Workspace,
    config: Config,
    tell: Callable[[str], None],
) -> None:
    """Attest the human work, the three models and the outputs of the first and the third."""
    from genepool import provenance

    groups = gallery.groups
    photographs = provenance.register_human(
        catalogue.select(groups["photographs"]),
        workspace,
        cohort=COHORTS[0],
        origin="captured",
        config=config,
    )
    provenance.register_human(
        catalogue.select(groups["drawings"]),
        workspace,
        cohort=COHORTS[1],
        origin="human_made",
        config=config,
    )
    parent = COHORTS[0]
    for model in MODELS:
        provenance.register_model(workspace, model, trained_on=[(parent, 1.0)], config=config)
        parent = model
    for model, files in ((MODELS[0], groups["signed"] + groups["tagged"]), (MODELS[2], groups["third"])):
        provenance.register_outputs(
            catalogue.select(files), workspace, model=model, cohort=f"{model}-pictures", config=config
        )
    key = "a new key of yours" if photographs.key_created else "your key"
    first, second, third = MODELS
    tell(
        f"registered in the log, signed with {key}, {photographs.key_place}:\n"
        f"    {len(groups['photographs'])} photographs and {len(groups['drawings'])} drawings as human work\n"
        f"    {first} trained on the photographs, {second} on {first}, {third} on {second}\n"
        f"    what {first} and {third} drew"
    )


def _diversity(gallery: Gallery, catalogue: Catalogue, config: Config) -> dict[str, Estimate]:
    """The style diversity index of people's work and of each machine generation, alone."""
    import numpy as np

    from genepool.diversity import StyleDiversityIndex

    index, groups = StyleDiversityIndex(config=config), gallery.groups
    parts = {
        "human": groups["photographs"] + groups["drawings"],
        "generation 1": groups["signed"] + groups["tagged"],
        "generation 3": groups["third"],
    }
    return {
        name: index.measure(catalogue.select(files), verified=np.full(len(files), name == "human"))
        for name, files in parts.items()
    }


# ------------------------------------------------------------------------------------ the self-check


def _compare(name: str, decision: Decision, expected: Ending) -> list[str]:
    """What differs between how a check ended and how it should have."""
    found = Ending(decision.status, tuple(sorted(f.code for f in decision.failures)))
    return [] if found == expected else [f"{name}: expected {expected}, found {found}"]


def _compare_images(gallery: Gallery, decision: Decision) -> list[str]:
    """The right pictures must have been found, not merely as many."""
    wanted = {
        "above the highest generation": (
            set(gallery.groups["third"]),
            {case.uri for f in decision.failures if f.code == "GP401" for case in f.cases},
        ),
        "set aside": (
            set(gallery.groups["found"]) | set(gallery.groups["damaged"]),
            {case.uri for case in decision.set_aside},
        ),
    }
    differences = []
    for what, (expected, found) in wanted.items():
        if expected != found:
            odd = sorted(expected ^ found)
            differences.append(
                f"pictures {what}: expected {len(expected)}, found {len(found)}; differing: {odd[0]}"
                + (f" and {len(odd) - 1} more" if len(odd) > 1 else "")
            )
    return differences
