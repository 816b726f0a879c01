"""`DegradationReport`: the generations side by side, in words, JSON and a table beside the article's."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from genepool.degradation._forecast import Forecaster
from genepool.degradation._measures import Generation
from genepool.degradation._trend import Alarm, Trend
from genepool.errors import MeasureError
from genepool.records import Estimate

__all__ = ["ARTICLE", "MEASURES", "DegradationReport", "Measured"]

SCHEMA = "genepool.degradation/1"


class Measured(NamedTuple):
    """One measure: its title for people, unit, decimals, and which way damage moves it (0: either)."""

    title: str
    unit: str
    digits: int
    harm: int


MEASURES = {
    "retention_first": Measured("unique feature retention, of generation 1", "%", 0, -1),
    "retention": Measured("unique feature retention, of human work", "%", 0, -1),
    "diversity": Measured("style diversity index", "", 2, -1),
    "preference": Measured("preference score (people)", "/10", 1, -1),
    "proxy": Measured("preference proxy (no people)", "sd", 2, -1),
    "coverage": Measured("coverage", "", 2, -1),
    "density": Measured("density", "", 2, 0),
    "frechet": Measured("Fréchet distance", "", 2, 1),
    "artefact": Measured("pattern: artefact shift", "sd", 2, 1),
    "amplification": Measured("pattern: amplification", "×", 2, 1),
    "variance": Measured("variance: v_t / v_0", "", 2, -1),
    "tail": Measured("averaging: tail retention", "%", 0, -1),
    "outliers": Measured("averaging: outlying pictures", "", 3, -1),
}
"""In the order of the table."""


class Claim(NamedTuple):
    """A row of the article's table: human share of the training set, retention in %, index, preference."""

    human: float
    retention: float
    diversity: float
    preference: float


ARTICLE = (
    Claim(1.0, 100, 0.89, 8.2),
    Claim(0.5, 73, 0.71, 7.1),
    Claim(0.2, 42, 0.53, 5.4),
    Claim(0.05, 18, 0.31, 3.2),
)
"""What the article says of generations 1 to 4. It is a claim, not a measurement."""


@dataclass(frozen=True, slots=True)
class DegradationReport:
    """Generations of a model, measured against human work.

    Attributes:
        generations: Oldest first; the first is what later ones are compared with.
        baseline: Held-out pictures of the reference, measured alike: what human work itself scores.
        reference: Name and number of pictures of the reference; ``own`` where a part of generation 1 served.
        trends: Per measure.
        alarm: When it showed.
        forecast: Forecasters of retention, diversity and preference, where human shares were given.
        size: Pictures at which measures that depend on their number were taken.
        side: Short side in pixels of the copies that were embedded; 0: vectors were given.
        crop: Side of the native crops; 0: vectors were given.
        notes: What to know before reading the numbers.
        alpha: 1 − confidence.
    """

    generations: tuple[Generation, ...]
    baseline: Generation | None
    reference: dict[str, Any]
    trends: tuple[Trend, ...]
    alarm: Alarm
    forecast: dict[str, Forecaster] = field(default_factory=dict)
    size: int = 0
    side: int = 0
    crop: int = 0
    notes: tuple[str, ...] = ()
    alpha: float = 0.05

    def series(self, name: str) -> list[Estimate | None]:
        """One measure, generation by generation; None where it is missing.

        Raises:
            MeasureError: No measure of that name.
        """
        if name not in MEASURES:
            raise MeasureError(
                f"degradation: expected a measure, found {name!r}", hint=f"one of {', '.join(MEASURES)}"
            )
        return [one.measures.get(name) for one in self.generations]

    def to_json(self) -> dict[str, Any]:
        """The object ``genepool.degradation/1``."""
        return {
            "schema": SCHEMA,
            "generations": [one.to_json() for one in self.generations],
            "baseline": None if self.baseline is None else self.baseline.to_json(),
            "reference": self.reference,
            "article": [claim._asdict() for claim in ARTICLE],
            "trends": [one.to_json() for one in self.trends],
            "alarm": self.alarm.to_json(),
            "forecast": {name: one.to_json() for name, one in self.forecast.items()},
            "size": self.size,
            "side": self.side,
            "crop": self.crop,
            "notes": list(self.notes),
            "alpha": self.alpha,
        }

    @classmethod
    def from_json(cls, data: Any) -> DegradationReport:
        """Back from `to_json`.

        Raises:
            MeasureError: Something else, or of another version.
        """
        if not isinstance(data, dict) or data.get("schema") != SCHEMA:
            raise MeasureError(
                f"degradation: expected an object of schema {SCHEMA}",
                hint="genepool degradation GEN1 GEN2 -o DIR writes one",
            )
        try:
            alpha = float(data["alpha"])
            alarm = dict(data["alarm"])
            return cls(
                tuple(Generation.from_json(one, alpha) for one in data["generations"]),
                None if data["baseline"] is None else Generation.from_json(data["baseline"], alpha),
                dict(data["reference"]),
                tuple(Trend(**one) for one in data["trends"]),
                Alarm(**{**alarm, "measures": tuple(alarm["measures"])}),
                {name: Forecaster.from_json(one) for name, one in data["forecast"].items()},
                int(data["size"]),
                int(data["side"]),
                int(data["crop"]),
                tuple(data["notes"]),
                alpha,
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise MeasureError(
                f"degradation: a report that cannot be read: {type(error).__name__}: {error}"
            ) from None

    def rows(self) -> list[tuple[str, ...]]:
        """The table as cells: a head, then one row per measure, one column per generation."""
        columns = [*self.generations, *([] if self.baseline is None else [self.baseline])]
        found = [("", *(f"{one.name} (n={one.n:,})" for one in columns))]
        for name, about in MEASURES.items():
            if all(name not in one.measures for one in columns):
                continue
            cells = [_cell(one.measures.get(name), about, name, one) for one in columns]
            found.append((about.title, *cells))
        return found

    def article_rows(self) -> list[tuple[str, ...]]:
        """The article's three columns beside what was measured, generation by generation."""
        found: list[tuple[str, ...]] = [
            ("", "human share", "retention", "", "diversity", "", "preference", "")
        ]
        found.append(("", "article / here", "article", "here", "article", "here", "article", "here"))
        for i in range(max(len(ARTICLE), len(self.generations))):
            said = ARTICLE[i] if i < len(ARTICLE) else None
            here = self.generations[i] if i < len(self.generations) else None
            share = "–" if said is None else f"{said.human:.0%}"
            own = "–" if here is None or here.human is None else f"{here.human:.0%}"
            cells = [f"generation {i + 1}", f"{share} / {own}"]
            for name, told in (
                ("retention_first", None if said is None else f"{said.retention:.0f} %"),
                ("diversity", None if said is None else f"{said.diversity:.2f}"),
                ("preference", None if said is None else f"{said.preference:.1f}"),
            ):
                value = None if here is None else here.measures.get(name)
                cells += [told or "–", _cell(value, MEASURES[name], name, here)]
            found.append(tuple(cells))
        return found

    def table(self) -> list[str]:
        """Lines for a terminal."""
        out = [*_aligned(self.rows()), "", "beside the article's table", *_aligned(self.article_rows())]
        out += ["", *self.sentences()]
        return out

    def _missing(self) -> list[str]:
        """What could not be measured, of which generations, and why."""
        where: dict[tuple[str, str], list[str]] = {}
        for one in self.generations:
            for name, why in one.missing.items():
                if name in MEASURES:
                    where.setdefault((name, why), []).append(one.name)
        return [
            f"{MEASURES[name].title}, {_join(names, len(self.generations))}: {why}"
            for (name, why), names in sorted(where.items(), key=lambda row: list(MEASURES).index(row[0][0]))
        ]

    def sentences(self) -> list[str]:
        """Trend, alarm, forecast, what is missing and what to know, a line each."""
        out = []
        moved = [t for t in self.trends if t.p < self.alpha]
        if len(self.generations) > 1:
            words = [
                f"  {MEASURES[t.measure].title} {t.slope:+.3g} [{t.lower:+.3g}, {t.upper:+.3g}]"
                for t in moved
            ]
            out += (
                ["trend per generation:", *words] if words else ["trend: none beyond chance in the drawing"]
            )
        out += [_alarm(self.alarm), *(_forecast(one) for one in self.forecast.values())]
        out += self._missing()
        return out + [f"note: {text}" for text in self.notes]


def _join(names: list[str], total: int) -> str:
    return "every generation" if len(names) == total and total > 1 else ", ".join(names)


def _alarm(alarm: Alarm) -> str:
    if alarm.generation is None:
        return f"alarm: none; nothing is below {alarm.keep:.0%} of generation 1 beyond its interval"
    names = ", ".join(MEASURES[name].title for name in alarm.measures)
    text = f"alarm: generation {alarm.generation} ({names})"
    if alarm.crossing is None:
        return f"{text}; retention is not seen to fall below {alarm.floor:.0%}"
    how = "is forecast to fall" if alarm.forecast else "fell"
    return (
        f"{text}; retention {how} below {alarm.floor:.0%} at generation {alarm.crossing}: lead {alarm.lead}"
    )


def _forecast(one: Forecaster) -> str:
    need = one.required_human_ratio(0.8)
    title = MEASURES[one.measure].title if one.measure in MEASURES else one.measure
    return (
        f"forecast of {title}: b² {one.b2.value:.2f} [{one.b2.lower:.2f}, {one.b2.upper:.2f}]; 80 % needs a "
        f"human share of {need.value:.0%} [{need.lower:.0%}, {need.upper:.0%}]"
    )


def _cell(value: Estimate | None, about: Measured, name: str, one: Generation | None) -> str:
    if value is None:
        why = "" if one is None else one.missing.get(name, "")
        return "needs people" if why.startswith("needs people") else "–"
    unit = "" if about.unit in ("/10", "sd", "×") else f" {about.unit}".rstrip()
    digits = about.digits
    text = f"{value.value:.{digits}f}{unit}"
    if math.isfinite(value.lower) and value.lower != value.upper:
        text += f" [{value.lower:.{digits}f}, {value.upper:.{digits}f}]"
    return text


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]
