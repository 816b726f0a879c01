"""`SustainableAITrainingPipeline`: the seed's promise, running; and `check`, the whole way of the data.

dataset → scan → catalogue → origins → measures → gate → log, report. Each step is a room's own function;
this file only strings them together.
"""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Any, TypeVar

from genepool.errors import GateError, InsufficientHumanContent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from genepool.config import Config
    from genepool.records import Decision

__all__ = ["SustainableAITrainingPipeline", "check"]

T = TypeVar("T")


def _tell_what_is_left(before: int, after: int) -> None:
    """Nothing is dropped silently."""
    import logging

    logging.getLogger("genepool").warning(
        "diversity: %s of %s images were left out to reach the floor; the set's selection names what stays",
        f"{before - after:,}",
        f"{before:,}",
    )


def check(
    data: Any,
    *,
    workspace: str | Path | None = None,
    config: Config | None = None,
    progress: Callable[[int, int, int, float], None] | None = None,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    baseline: str | Path | None = None,
    record: bool = True,
) -> Decision:
    """Judge a dataset.

    Args:
        data: Anything that `genepool.open` takes.
        workspace: Where results are kept; None: beside the dataset (see `genepool.store.workspace_for`).
        config: Policy and settings; None: ``genepool.toml`` of the current folder, else the defaults.
        progress: Called as ``progress(done, total, set_aside, images_per_second)``.
        select: Rule codes (or prefixes) to apply; empty: all.
        ignore: Rule codes (or prefixes) not to apply.
        baseline: An earlier decision in JSON: fail only on getting worse.
        record: Seal origins and decision in the log and write the report.

    Returns:
        The decision, truthy only when the set passed.

    Raises:
        SourceError: Nothing to read (exit code 3).
        PluginError: A plug-in that the configuration names is missing or broken (exit code 3).
        IntegrityError: A log that is read does not verify (exit code 4).
    """
    from genepool import dataset, gate, origin, scan, store
    from genepool.config import load

    started = time.perf_counter()
    config = config or load()
    earlier = gate.load_baseline(baseline) if baseline else None
    rules = gate.open_rules(config.policy.rules)  # here, so that a missing plug-in is told before the scan
    opened = dataset.open(data)
    place = store.workspace_for(opened, workspace)
    known_as = store.dataset_folder(place, opened).name
    with place.lock(), store.Journal(place).record("check", opened.uri, set=known_as) as run:
        catalogue = scan.scan(opened, place, config=config, progress=progress)
        origins = origin.settle(catalogue, place, config)
        decision = gate.decide(
            gate.measure(catalogue, origins, place, config),
            config,
            select=select,
            ignore=ignore,
            plugged=gate.over(rules, catalogue, origins),
        )
        if earlier is not None:
            decision = gate.apply_baseline(decision, earlier)
        timing = {**decision.extra["timing"], "total": round(time.perf_counter() - started, 3)}
        decision = dataclasses.replace(decision, extra={**decision.extra, "timing": timing})
        if record:
            from genepool import provenance, report

            seal = provenance.seal(place, catalogue, origins, decision.to_json(), config)
            past = gate.history(place, decision, int(time.time()))
            decision = dataclasses.replace(
                decision, extra={**decision.extra, "ledger": seal.to_json(), "history": past}
            )
            gate.save(decision, place)
            report.write(decision, catalogue, origins, place.report)
        run.facts.update(status=decision.status, n=decision.n, root=decision.root, recorded=record)
    return decision


class SustainableAITrainingPipeline:
    """The seed's pipeline with its attributes, its method, its floors and its `ValueError`, done properly.

    It compares lower confidence bounds, refuses toxic generations and forbidden images, brings lost styles
    back where the index is low, and records every decision in the log.

    Attributes:
        provenance_tracker: `DataProvenanceBlockchain`.
        synthetic_detector: `SyntheticContentDetector`, selective accuracy 0.94.
        diversity_monitor: `StyleDiversityIndex`.
        human_validator: `HumanInLoopValidator`, where people's verdicts are collected.
        decision: The last `Decision`, None before the first validation.
    """

    def __init__(self, workspace: str | Path | None = None, *, config: Config | None = None) -> None:
        from genepool.config import load
        from genepool.diversity import StyleDiversityIndex
        from genepool.prevalence import SyntheticContentDetector
        from genepool.provenance import DataProvenanceBlockchain
        from genepool.review import HumanInLoopValidator

        self.workspace = workspace
        self.config = config or load()
        self.provenance_tracker = DataProvenanceBlockchain(workspace, config=self.config)
        self.synthetic_detector = SyntheticContentDetector(
            threshold=self.config.detection.threshold, workspace=workspace, config=self.config
        )
        self.diversity_monitor = StyleDiversityIndex(workspace, config=self.config)
        self.human_validator = HumanInLoopValidator(workspace)
        self.decision: Decision | None = None

    def validate_training_data(self, dataset: T) -> T | Any:
        """Return the dataset if it may train a model, else raise.

        Returns:
            ``dataset`` itself when it passed as it is. Where only its diversity was too low, or uncertain, a
            `genepool.Dataset` that re-weighting made pass: some of the images; its ``selection`` names what
            stays. How many were left out is logged as a warning (logger ``genepool``).

        Raises:
            InsufficientHumanContent: The guaranteed human share is below the floor (also when people could
                still settle it: the message says how many images).
            GateError: Another rule did not hold.
        """
        self.decision = check(dataset, workspace=self.workspace, config=self.config)
        codes = {failure.code for failure in self.decision.failures}
        if codes and codes <= {"GP301"}:
            before = self.decision.n
            injected = self.inject_diversity(dataset)
            self.decision = check(injected, workspace=self.workspace, config=self.config)
            if self.decision:
                _tell_what_is_left(before, self.decision.n)
                return injected
        if self.decision:
            return dataset
        found = sorted(self.decision.failures, key=lambda f: f.code != "GP101")
        message = "; ".join(f"{f.code} {f.message}" for f in found)
        if "GP101" in codes:
            raise InsufficientHumanContent(
                f"Insufficient human-created content: {message}", hint=found[0].hint
            )
        raise GateError(message, hint=found[0].hint)

    def inject_diversity(self, dataset: Any, reserve: Any = None) -> Any:
        """Draw on a reserve of images, and re-weight the set, until its index clears the floor.

        Args:
            dataset: Anything that `genepool.open` takes.
            reserve: Further images to draw on.

        Returns:
            A `genepool.Dataset`, or ``dataset`` itself where that is not possible; the reasons are logged,
            and `genepool.injection.plan_injection` returns them.
        """
        from genepool.injection import inject_diversity

        return inject_diversity(dataset, reserve=reserve, workspace=self.workspace, config=self.config)
