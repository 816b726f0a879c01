"""Training a probe for ``genepool calibrate --backbone``."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genepool.detection import Calibration, Controls, calibrate
from genepool.errors import MeasureError, UsageError

if TYPE_CHECKING:
    from genepool.detection import Backbone, Control

__all__ = ["train"]


def train(
    known: Controls, spec: str, out: str | None, options: dict[str, Any]
) -> tuple[Calibration, dict[str, Any]]:
    """Features of all controls, a probe per fold to calibrate with, and one of all that is kept.

    Raises:
        MeasureError: Too few controls; nothing is kept then.
        PluginError: The backbone cannot be loaded.
    """
    import numpy as np

    from genepool.config import config_directory
    from genepool.detection import backbone, fit_probe, held_out_logits, save_probe

    model = backbone(spec)
    vectors, controls, reasons, repeated = _features(known, model)
    if not vectors:
        raise MeasureError(f"calibrate: {model.name} abstained from every control")
    x = np.stack(vectors).astype(np.float64)
    ai = np.array([control.label == "ai" for control in controls])
    groups = np.array([f"{control.label}: {control.group}" for control in controls])
    if len(np.unique(ai)) < 2:
        raise MeasureError("calibrate: expected scored controls of both classes, found one")
    logits, notes = held_out_logits(x, ai, groups)
    weight, bias = fit_probe(x, ai, groups)
    name = re.sub(r"[^\w.-]+", "_", model.name)
    place = Path(out) if out else config_directory() / "probes" / f"{name}-{model.digest[:8]}.npz"
    sources = [control.source for control in controls]
    found = calibrate(logits, ai, groups, source=sources, detector="pending", **options)
    digest = save_probe(place, model, spec, weight, bias)
    found = Calibration.from_json({**found.to_json(), "detector": digest})
    return found, {
        "model": f"probe:{place.name}@{digest}",
        "detector": f"probe:{place}",
        "abstentions": dict(reasons.most_common()),
        "repeated": repeated,
        "notes": notes,
    }


def _features(known: Controls, model: Backbone) -> tuple[list[Any], list[Control], Counter[str], int]:
    from genepool.cli._progress import progress
    from genepool.config import Config
    from genepool.scan import Refusal, View

    model.prepare()
    vectors: list[Any] = []
    controls: list[Control] = []
    reasons: Counter[str] = Counter()
    seen: dict[str, str] = {}
    repeated = 0
    limit = Config().scan.max_pixels
    with progress("features") as report:
        for done, sample in enumerate(known.dataset.samples([]), 1):
            if report is not None:
                report(done, len(known.labels), 0, 0.0)
            if sample.data is None:
                reasons[sample.case.message if sample.case else "cannot be read"] += 1
                continue
            control = known.labels[sample.item.uri]
            digest = hashlib.sha256(sample.data).hexdigest()
            if digest in seen:
                if seen[digest] != control.label:
                    raise UsageError(f"controls: {sample.item.uri} is also there with the other label")
                repeated += 1
                continue
            seen[digest] = control.label
            try:
                vector, reason = model.features(View(sample, max_pixels=limit))
            except Refusal as error:
                vector, reason = None, str(error)[:200]
            if vector is None:
                reasons[reason] += 1
            else:
                vectors.append(vector)
                controls.append(control)
    return vectors, controls, reasons, repeated
