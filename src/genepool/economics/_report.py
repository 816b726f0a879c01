"""`CostReport`: the strategies in words, JSON and CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from genepool.economics._assumptions import Assumptions, Strategy
from genepool.economics._model import COSTS, LOSSES
from genepool.errors import MeasureError

__all__ = ["WORDS", "BreakEven", "CostReport", "Outcome", "Swing", "money", "short"]

SCHEMA = "genepool.cost/1"
_SWINGS = 6
Band = tuple[tuple[float, ...], tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One strategy. Money is in the currency of the assumptions; sums are not discounted.

    Attributes:
        strategy: Which.
        npv: Net present value of revenue less costs, at the assumed values.
        npv_interval: Monte Carlo interval.
        npv_median: Monte Carlo median.
        chance_best: Share of the draws in which it is worth most.
        totals: Costs by name, revenue lost by name, and revenue.
        crossed: First month in which retention is below the floor; None: never.
        crossed_interval: The same at both ends of the Monte Carlo interval.
        chance_crossed: Share of the draws in which that happens.
        repairs: How often the model had to be repaired.
        retention: By month.
        retention_band: Its Monte Carlo interval by month.
        cumulative: Discounted cash flow added up, by month.
        cumulative_band: Its Monte Carlo interval.
        monthly: Flows by month, as in ``totals``.
    """

    strategy: Strategy
    npv: float
    npv_interval: tuple[float, float]
    npv_median: float
    chance_best: float
    totals: Mapping[str, float]
    crossed: int | None
    crossed_interval: tuple[int | None, int | None]
    chance_crossed: float
    repairs: int
    retention: tuple[float, ...]
    retention_band: Band
    cumulative: tuple[float, ...]
    cumulative_band: Band
    monthly: Mapping[str, tuple[float, ...]]

    @property
    def spent(self) -> float:
        """All costs."""
        return sum(self.totals[name] for name in COSTS)

    @property
    def lost(self) -> float:
        """All revenue that did not come."""
        return sum(self.totals[name] for name in LOSSES)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {**asdict(self), "spent": self.spent, "lost": self.lost}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Outcome:
        """Back from `to_json`; KeyError or TypeError where it is something else."""
        row = {name: data[name] for name in cls.__dataclass_fields__}
        for name in ("npv_interval", "crossed_interval", "retention", "cumulative"):
            row[name] = tuple(row[name])
        for name in ("retention_band", "cumulative_band"):
            row[name] = tuple(tuple(end) for end in row[name])
        row["monthly"] = {name: tuple(flow) for name, flow in row["monthly"].items()}
        row["strategy"] = Strategy(**row["strategy"])
        return cls(**row)


@dataclass(frozen=True, slots=True)
class Swing:
    """One bar of the tornado: difference of present values with a number at its low and its high end."""

    name: str
    low: float
    high: float
    at_low: float
    at_high: float


@dataclass(frozen=True, slots=True)
class BreakEven:
    """Where two strategies are worth the same.

    Attributes:
        name: ``month``, or an assumption.
        value: Month from which the first is ahead for good, or the assumption's value; None: nowhere.
        low: From where it was looked for.
        high: Up to where.
    """

    name: str
    value: float | None
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class CostReport:
    """The strategies side by side.

    Attributes:
        assumptions: All of them.
        forecast: The forecaster, as plain data.
        from_article: It is what the article's table implies, nobody's measurement.
        outcomes: In the order of the assumptions.
        compared: The two strategies of what follows.
        difference: Present value of the first less the second's, with the Monte Carlo interval.
        chance: Share of the draws in which the first is worth more.
        break_even: Month and assumptions.
        swings: Tornado, widest first.
        draws: Of the Monte Carlo.
        seed: Of the draws.
        alpha: 1 − confidence.
        debt: What was counted from the log; None: assumed.
    """

    assumptions: Assumptions
    forecast: Mapping[str, Any]
    from_article: bool
    outcomes: tuple[Outcome, ...]
    compared: tuple[str, str]
    difference: tuple[float, float, float]
    chance: float
    break_even: tuple[BreakEven, ...]
    swings: tuple[Swing, ...]
    draws: int
    seed: int
    alpha: float
    debt: Mapping[str, Any] | None = None

    def title(self, name: str) -> str:
        """A strategy's title."""
        return next(one.strategy.title for one in self.outcomes if one.strategy.name == name)

    def to_json(self) -> dict[str, Any]:
        """The object ``genepool.cost/1``."""
        return {
            "schema": SCHEMA,
            "assumptions": self.assumptions.to_json(),
            "forecast": dict(self.forecast),
            "from_article": self.from_article,
            "strategies": [one.to_json() for one in self.outcomes],
            "compared": list(self.compared),
            "difference": list(self.difference),
            "chance": self.chance,
            "break_even": [asdict(one) for one in self.break_even],
            "tornado": [asdict(one) for one in self.swings],
            "draws": self.draws,
            "seed": self.seed,
            "alpha": self.alpha,
            "debt": None if self.debt is None else dict(self.debt),
        }

    @classmethod
    def from_json(cls, data: Any) -> CostReport:
        """Back from `to_json`.

        Raises:
            MeasureError: Something else, or of another version.
        """
        if not isinstance(data, Mapping) or data.get("schema") != SCHEMA:
            raise MeasureError(
                f"cost: expected an object of schema {SCHEMA}", hint="genepool cost -o DIR writes one"
            )
        try:
            low, middle, high = data["difference"]
            first, second = data["compared"]
            return cls(
                Assumptions.from_json(data["assumptions"]),
                dict(data["forecast"]),
                bool(data["from_article"]),
                tuple(Outcome.from_json(one) for one in data["strategies"]),
                (first, second),
                (low, middle, high),
                float(data["chance"]),
                tuple(BreakEven(**one) for one in data["break_even"]),
                tuple(Swing(**one) for one in data["tornado"]),
                int(data["draws"]),
                int(data["seed"]),
                float(data["alpha"]),
                data["debt"],
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise MeasureError(
                f"cost: a report that cannot be read: {type(error).__name__}: {error}"
            ) from None

    def csv(self) -> str:
        """One row per strategy and month: retention, flows, cash, discounted sum so far."""
        out = io.StringIO()
        names = [*COSTS, *LOSSES, "revenue"]
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["strategy", "month", "retention", *names, "cash", "cumulative_discounted"])
        for one in self.outcomes:
            for month, v in enumerate(one.retention):
                flows = [one.monthly[name][month] for name in names]
                cash = one.monthly["revenue"][month] - sum(one.monthly[name][month] for name in COSTS)
                row = [f"{x:.2f}" for x in (*flows, cash, one.cumulative[month])]
                writer.writerow([one.strategy.name, month, f"{v:.6f}", *row])
        return out.getvalue()

    # -------------------------------------------------------------------------------------- words

    def table(self) -> list[str]:
        """Lines for a terminal."""
        horizon = int(self.assumptions.numbers["general.horizon"].value)
        out = [f"{horizon} months, {self.draws:,} draws, seed {self.seed}; money in USD", ""]
        out += _aligned(self.rows(), right=range(1, 9))
        out += ["", "costs and revenue lost, not discounted"]
        out += _aligned(self.costs(), right=range(1, 10))
        return [*out, "", *self.sentences()]

    def rows(self) -> list[tuple[str, ...]]:
        """One row per strategy, with a head."""
        head = ["", "present value", f"{1 - self.alpha:.0%} interval", "best in", "spent", "revenue lost"]
        found = [(*head, "below floor in month", "chance", "retention at the end")]
        best = _percents([one.chance_best for one in self.outcomes])
        for one, ahead in zip(self.outcomes, best, strict=True):
            low, high = (money(x) for x in one.npv_interval)
            found.append(
                (
                    one.strategy.title,
                    money(one.npv),
                    f"{low} to {high}",
                    f"{ahead}%",
                    money(one.spent),
                    money(one.lost),
                    "never" if one.crossed is None else str(one.crossed),
                    f"{one.chance_crossed:.0%}",
                    f"{one.retention[-1]:.0%}",
                )
            )
        return found

    def costs(self) -> list[tuple[str, ...]]:
        """What was spent and lost, by kind."""
        head = ("", *(WORDS[name] for name in (*COSTS, *LOSSES)))
        return [
            head,
            *(
                (one.strategy.title, *(money(one.totals[n]) for n in (*COSTS, *LOSSES)))
                for one in self.outcomes
            ),
        ]

    def sentences(self) -> list[str]:
        """Comparison, break-even, sensitivity and where retention comes from, a line each."""
        a, b = (self.title(name) for name in self.compared)
        value, low, high = self.difference
        out = [
            f"{a} against {b}: {money(value)} [{money(low)}, {money(high)}], ahead in {self.chance:.0%} of "
            "draws"
        ]
        out += [f"  {_even(one)}" for one in self.break_even]
        out.append("most sensitive to:")
        out += [
            f"  {one.name} {short(one.low)} to {short(one.high)}: {money(one.at_low)} to {money(one.at_high)}"
            for one in self.swings[:_SWINGS]
        ]
        b2 = self.forecast["b2"]
        where = (
            "what the published table implies that genepool was built after, a claim: give your own with "
            "--degradation FILE"
            if self.from_article
            else f"measured: {_measured(str(self.forecast['measure']))}"
        )
        out.append(f"retention: b² {b2['value']:.2f} [{b2['lower']:.2f}, {b2['upper']:.2f}], {where}")
        if self.debt is not None:
            out.append(f"downstream, counted from the log: {self.debt['words']}")
        guesses = sum(one.source.startswith("assumption") for one in self.assumptions.numbers.values())
        out.append(
            f"{guesses} of {len(self.assumptions.numbers)} numbers are assumptions: genepool cost "
            "--init-assumptions FILE, then --assumptions FILE"
        )
        return out


WORDS = {
    "acquire": "acquiring",
    "verify": "verifying",
    "detect": "detecting",
    "review": "reviewing",
    "train": "training",
    "retrain": "repairing",
    "debt": "technical debt",
    "lost_share": "lost share",
    "brand": "brand damage",
}


def _measured(name: str) -> str:
    from genepool.degradation import MEASURES

    return MEASURES[name].title if name in MEASURES else name or "a measure without a name"


def money(amount: float) -> str:
    """``1,234,567`` → ``1.23 M``; whole below ten thousand."""
    size = abs(amount)
    if size >= 999_500:
        return f"{amount / 1e6:,.2f} M"
    return f"{amount / 1e3:,.0f} k" if size >= 9_999.5 else f"{amount:,.0f}"


def short(value: float) -> str:
    """``0.25947`` → ``0.259``, ``50000`` → ``50,000``."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _even(one: BreakEven) -> str:
    if one.name == "month":
        return (
            f"ahead for good from month {one.value:.0f} on"
            if one.value is not None
            else f"not ahead by month {one.high:.0f}"
        )
    if one.value is None:
        return f"{one.name}: no break-even from {short(one.low)} to {short(one.high)}"
    return f"{one.name}: equal at {short(one.value)}"


def _aligned(rows: list[tuple[str, ...]], right: range) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _percents(shares: Sequence[float]) -> list[int]:
    """Whole percents that add to what the shares add to: largest remainders (Hamilton's method).

    Rounded one by one, three strategies of which exactly one is best in each draw may add to 101.
    """
    found = [math.floor(100 * share) for share in shares]
    left = round(100 * sum(shares)) - sum(found)
    order = sorted(range(len(shares)), key=lambda i: (found[i] - 100 * shares[i], i))
    for i in order[: max(0, left)]:
        found[i] += 1
    return found
