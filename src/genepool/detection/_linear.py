"""A linear probe on a frozen backbone: trained on the user's controls, judged on groups it had not seen."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genepool.detection._backbones import Backbone, backbone
from genepool.detection._metrics import balance
from genepool.detection._naming import check_pin, options_of
from genepool.errors import MeasureError, PluginError
from genepool.records import ImageView, Score

__all__ = ["ProbeDetector", "fit_probe", "held_out_logits", "save_probe"]

SCHEMA = "genepool.probe/1"
# Fixed, not tuned: choosing it on the controls would spoil what is measured on them.
PENALTY = 0.03
FOLDS = 5
Floats = NDArray[np.float64]


class ProbeDetector:
    """A stored probe as a detector, ``probe:FILE.npz``.

    The file names its backbone and that model's digest; another backbone file is refused. Nothing is
    unpickled.

    Args:
        spec: ``path`` or ``path@sha256=<64 hex digits>``.

    Raises:
        PluginError: Not such a file, not the pinned one, or its backbone is missing or another.
    """

    def __init__(self, spec: str) -> None:
        path, options = options_of(spec, ("sha256",))
        self.name = f"probe:{Path(path).name}"
        try:
            data = Path(path).read_bytes()
            with np.load(io.BytesIO(data), allow_pickle=False) as held:
                fields = {key: held[key] for key in held.files}
            if str(fields["schema"]) != SCHEMA:
                raise ValueError(f"schema {fields['schema']}")
            self.weight, self.bias = fields["weight"].astype(np.float64), float(fields["bias"])
            spec_of, wanted = str(fields["backbone"]), str(fields["digest"])
        except Exception as error:  # numpy and zipfile raise many types on a damaged file
            what = error.strerror if isinstance(error, OSError) and error.strerror else error
            raise PluginError(
                f"detector {self.name}: {path}: expected a probe of genepool calibrate: {what}"
            ) from error
        own = hashlib.sha256(data).hexdigest()
        if wrong := check_pin(self.name, options.get("sha256"), own):
            raise PluginError(wrong, hint=f"replace {path}, or correct the pin")
        self.backbone: Backbone = backbone(spec_of)
        if self.backbone.digest != wanted:
            raise PluginError(
                f"detector {self.name}: its backbone {spec_of} is not the one it was trained on: "
                f"expected sha256 {wanted[:12]}…, found {self.backbone.digest[:12]}…",
                hint="train again: genepool calibrate CONTROLS --backbone " + spec_of,
            )
        self.digest = own

    def prepare(self) -> None:
        """Load the backbone into this process."""
        self.backbone.prepare()

    def score(self, view: ImageView) -> Score:
        """Features times weights, or the backbone's abstention.

        Raises:
            PluginError: The backbone answers with another number of features.
        """
        vector, reason = self.backbone.features(view)
        if vector is None:
            return Score(None, reason)
        if vector.shape != self.weight.shape:
            raise PluginError(
                f"detector {self.name}: expected {len(self.weight)} features, found {vector.shape[0]}"
            )
        return Score(float(vector.astype(np.float64) @ self.weight + self.bias))


def fit_probe(x: Floats, ai: NDArray[np.bool_], group: NDArray[np.str_]) -> tuple[Floats, float]:
    """Weights and bias of a ridge-penalised logistic regression; classes and their groups weigh alike.

    Args:
        x: Features, shape (n, d).
        ai: Which are AI.
        group: Group of each.
    """
    from scipy.optimize import minimize

    centre, spread = x.mean(0), np.maximum(x.std(0), 1e-6)
    z = (x - centre) / spread
    share, target = balance(ai, group), ai.astype(np.float64)

    def loss(point: Floats) -> tuple[float, Floats]:
        w, b = point[:-1], point[-1]
        value = z @ w + b
        error = share * (0.5 * (1 + np.tanh(0.5 * value)) - target)
        cost = float(share @ (np.logaddexp(0, value) - target * value) + 0.5 * PENALTY * (w @ w))
        return cost, np.append(z.T @ error + PENALTY * w, error.sum())

    found = minimize(loss, np.zeros(x.shape[1] + 1), jac=True, method="L-BFGS-B", options={"maxiter": 500})
    weight = found.x[:-1] / spread
    return np.asarray(weight), float(found.x[-1] - weight @ centre)


def folds(
    ai: NDArray[np.bool_], group: NDArray[np.str_], seed: int = 0
) -> tuple[NDArray[np.int64], list[str]]:
    """Fold of each control: whole groups; a class of one group is divided at random, which is said.

    Returns:
        Fold numbers, and a sentence for each class whose groups could not be held out.
    """
    rng = np.random.default_rng(seed)
    number = np.zeros(len(ai), np.int64)
    notes = []
    for side, name in ((ai, "AI"), (~ai, "human")):
        groups = np.unique(group[side])
        if len(groups) > 1:
            for k, one in enumerate(groups):
                number[side & (group == one)] = k % FOLDS
        else:
            number[side] = rng.permutation(int(side.sum())) % FOLDS
            notes.append(f"one {name} group only: nothing is known about {name} images of other kinds")
    return number, notes


def held_out_logits(x: Floats, ai: NDArray[np.bool_], group: NDArray[np.str_]) -> tuple[Floats, list[str]]:
    """Each control's logit from a probe that saw neither its group nor the other groups of its fold.

    Raises:
        MeasureError: A fold leaves nothing of a class to train on.
    """
    number, notes = folds(ai, group)
    logits = np.full(len(ai), np.nan)
    for k in np.unique(number):
        test = number == k
        if len(np.unique(ai[~test])) < 2:
            raise MeasureError("probe: expected controls of both classes outside every fold")
        weight, bias = fit_probe(x[~test], ai[~test], group[~test])
        logits[test] = x[test] @ weight + bias
    return logits, notes


def save_probe(path: Path, model: Backbone, spec: str, weight: Floats, bias: float) -> str:
    """Write a probe; the same probe gives the same bytes.

    Returns:
        SHA-256 of the file, the detector's digest.

    Raises:
        PluginError: It cannot be written.
    """
    out = io.BytesIO()
    np.savez(
        out,
        schema=np.array(SCHEMA),
        backbone=np.array(spec),
        digest=np.array(model.digest),
        weight=weight.astype(np.float32),
        bias=np.float64(bias),
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(out.getvalue())
    except OSError as error:
        raise PluginError(f"{path}: cannot be written: {error.strerror or error}") from error
    return hashlib.sha256(out.getvalue()).hexdigest()
