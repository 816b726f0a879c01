"""What a detector's logit is worth: measured on labelled controls, or nothing.

The likelihood ratios are those of the worst calibration group, from Clopper-Pearson bounds, so they hold for
every kind of image that was measured and promise nothing about kinds that were not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, Literal

from genepool.errors import ConfigError

__all__ = ["CAP", "Calibration"]

SCHEMA = "genepool.calibration/2"
_READABLE = (SCHEMA, "genepool.calibration/1")
# No pixel judge outweighs a person who looked twice, whatever its calibration says.
CAP = 2.0


@dataclass(frozen=True, slots=True)
class Calibration:
    """A detector's measured worth.

    Attributes:
        detector: SHA-256 of the model (hex) for which this was measured; it holds for no other.
        temperature: Divides the logit, above 0.
        bias: Added after that.
        ai_above: Calibrated logits at or above this are decided "ai".
        human_below: Those at or below this are decided "human"; between the two the detector abstains.
        llr_ai: Natural-log likelihood ratio for AI of a decision "ai", at least 0: worst group's lower bound.
        llr_human: The same for a decision "human", at most 0.
        accuracy: Selective accuracy that the thresholds were chosen for, in (0.5, 1].
        n: Labelled controls behind it.
        groups: Controls per calibration group.
        measured: Everything that was measured with it, as plain data (`genepool.detection.calibrate` says
            what); empty for a record of the first format.
    """

    detector: str
    temperature: float
    bias: float
    ai_above: float
    human_below: float
    llr_ai: float
    llr_human: float
    accuracy: float
    n: int
    groups: Mapping[str, int]
    measured: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        numbers = (self.temperature, self.bias, self.ai_above, self.human_below, self.llr_ai, self.llr_human)
        problem = ""
        if not all(math.isfinite(v) for v in (*numbers, self.accuracy)):
            problem = "finite numbers"
        elif self.temperature <= 0:
            problem = "a temperature above 0"
        elif self.human_below > self.ai_above:
            problem = "human_below ≤ ai_above"
        elif self.llr_ai < 0 or self.llr_human > 0:
            problem = "llr_ai ≥ 0 and llr_human ≤ 0"
        elif not 0.5 < self.accuracy <= 1:
            problem = "an accuracy above 0.5 and at most 1"
        elif self.n < 1 or not self.detector:
            problem = "a detector's digest and at least one labelled control"
        if problem:
            raise ConfigError(f"calibration: expected {problem}, found {self._numbers()}")

    def decide(self, logit: float) -> tuple[float, Literal["ai", "human", "abstain"], float]:
        """What a raw logit means.

        Returns:
            p(AI) after temperature and bias; the verdict; its capped log-likelihood ratio (0 on abstention).
        """
        value = logit / self.temperature + self.bias
        p = 1.0 / (1.0 + math.exp(-max(-50.0, min(50.0, value))))
        if value >= self.ai_above:
            return p, "ai", min(CAP, self.llr_ai)
        if value <= self.human_below:
            return p, "human", max(-CAP, self.llr_human)
        return p, "abstain", 0.0

    def facts(self) -> dict[str, Any]:
        """What a reader of a decision must know: whom it holds for, what it promises, on what evidence."""
        tested = self.measured.get("tested", {})
        return {
            "detector": self.detector,
            "accuracy": self.accuracy,
            "confidence": 1 - float(self.measured.get("alpha", 0.05)),
            "controls": self.n,
            "tested": tested.get("n", 0),
            "groups": len(tested.get("groups", ())) or len(self.groups),
            "llr_ai": min(CAP, self.llr_ai),
            "llr_human": max(-CAP, self.llr_human),
        }

    def to_json(self) -> dict[str, Any]:
        """Plain data, as `load_calibration` reads it."""
        return {"schema": SCHEMA, **self._numbers(), "measured": dict(self.measured)}

    def _numbers(self) -> dict[str, Any]:
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "measured"}
        return {**values, "groups": dict(self.groups)}

    @classmethod
    def from_json(cls, data: Any) -> Calibration:
        """Inverse of `to_json`.

        Raises:
            ConfigError: Another format, a missing key, or numbers that cannot be.
        """
        if not isinstance(data, Mapping) or data.get("schema") not in _READABLE:
            found = data.get("schema") if isinstance(data, Mapping) else type(data).__name__
            raise ConfigError(f"calibration: expected {SCHEMA}, found {found!r}")
        try:
            return cls(
                detector=str(data["detector"]),
                n=int(data["n"]),
                groups={str(k): int(v) for k, v in data["groups"].items()},
                measured=dict(data.get("measured", {})),
                **{
                    key: float(data[key])
                    for key in (
                        "temperature",
                        "bias",
                        "ai_above",
                        "human_below",
                        "llr_ai",
                        "llr_human",
                        "accuracy",
                    )
                },
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ConfigError(f"calibration: {type(error).__name__}: {error}") from error
