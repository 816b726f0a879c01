"""Every number of the model with its unit and its source, read from TOML and replaceable one by one."""

from __future__ import annotations

import difflib
import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from genepool._toml import TomlProblem, parse_toml
from genepool.errors import ConfigError, UsageError

__all__ = ["Assumption", "Assumptions", "Strategy", "most_of", "template"]

# Largest value each may take where that is not infinity; all are at least 0.
_MOST = {
    "general.horizon": 600,
    "general.discount_rate": 10.0,
    "data.renewed": 1.0,
    "checks.reviewed": 1.0,
    "policy.floor": 1.0,
    "policy.target": 1.0,
    "market.speed": 1.0,
    "market.brand": 1.0,
    "web.synthetic": 0.95,
    "web.growth": 1.0,
}
_WHOLE = ("general.horizon", "training.interval", "training.remedy")
_FIELDS = ("value", "low", "high", "unit", "source", "about")


@dataclass(frozen=True, slots=True)
class Assumption:
    """One number.

    Attributes:
        name: ``group.key``.
        value: What is assumed.
        low: Lower end for sensitivity and Monte Carlo.
        high: Upper end.
        unit: Its unit.
        source: Where it comes from, or ``assumption``.
        about: What it is.
    """

    name: str
    value: float
    low: float
    high: float
    unit: str
    source: str
    about: str

    @property
    def certain(self) -> bool:
        """Whether it is not varied."""
        return self.low == self.high


@dataclass(frozen=True, slots=True)
class Strategy:
    """One way to feed a model.

    Attributes:
        name: Key.
        title: For people.
        human: Fresh human share of every training set; of a scrape it follows from the web's.
        gated: Origin, rights, pixels and people are asked before anything is trained on.
        scraped: Everything comes from the open web, unfiltered.
    """

    name: str
    title: str
    human: float
    gated: bool
    scraped: bool


@dataclass(frozen=True, slots=True)
class Assumptions:
    """All numbers, and the strategies that are compared.

    Attributes:
        numbers: ``group.key`` → `Assumption`.
        strategies: In the order of the table.
        origin: Which file they came from, for the report.
    """

    numbers: Mapping[str, Assumption]
    strategies: tuple[Strategy, ...]
    origin: str = "defaults"

    @classmethod
    def default(cls) -> Assumptions:
        """The packaged ones."""
        return _default()

    @classmethod
    def load(cls, path: str | Path) -> Assumptions:
        """The packaged ones, with what a file changes.

        In the file a number may be plain (``human_image = 2.0`` under ``[data]``: its range is scaled along)
        or a table with ``value`` and any of ``low``, ``high``, ``source``. A ``[strategies.NAME]`` table
        changes or adds a strategy; ``drop = true`` in it leaves one out.

        Raises:
            ConfigError: Not TOML, an unknown key (the nearest known one is named), a number out of range.
            UsageError: No such file.
        """
        place = Path(path)
        try:
            data = parse_toml(place.read_text(encoding="utf-8"))
        except OSError as error:
            raise UsageError(
                f"{place}: {error.strerror or error}", hint="genepool cost --init-assumptions FILE writes one"
            ) from None
        except (TomlProblem, UnicodeDecodeError) as error:
            raise ConfigError(f"{place}: {error}") from None
        return cls.default().changed(data, str(place))

    def changed(self, data: Mapping[str, Any], where: str) -> Assumptions:
        """A copy with the changes of plain data, as a file would hold them.

        Raises:
            ConfigError: As `load`.
        """
        numbers, strategies = dict(self.numbers), {one.name: one for one in self.strategies}
        groups = {name.partition(".")[0] for name in numbers}
        for group, table in data.items():
            if group != "strategies" and group not in groups:
                raise _unknown(where, group, [*groups, "strategies"])
            if not isinstance(table, Mapping):
                raise ConfigError(f"{where}: `{group}` must be a table")
            for key, given in table.items():
                if group == "strategies":
                    _change_strategy(strategies, key, given, where)
                    continue
                name = f"{group}.{key}"
                if name not in numbers:
                    raise _unknown(where, name, numbers)
                numbers[name] = _change(numbers[name], given, where)
        if not strategies:
            raise ConfigError(f"{where}: expected at least one strategy, found none")
        if numbers["policy.floor"].value > numbers["policy.target"].value:
            raise ConfigError(f"{where}: `policy.target` must not be below `policy.floor`")
        return Assumptions(numbers, tuple(strategies.values()), where)

    def with_values(self, **values: float) -> Assumptions:
        """A copy with numbers replaced and fixed, ``data__human_image=2.0``.

        Raises:
            ConfigError: An unknown name or a number out of range.
        """
        data: dict[str, dict[str, Any]] = {}
        for dotted, value in values.items():
            group, _, key = dotted.partition("__")
            data.setdefault(group, {})[key] = {"value": value, "low": value, "high": value}
        return self.changed(data, self.origin)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Assumptions:
        """Back from `to_json`; KeyError, TypeError or ValueError where it is something else."""
        numbers = {}
        for name, row in data["numbers"].items():
            value, low, high = (float(row[f]) for f in _FIELDS[:3])
            unit, source, about = (str(row[f]) for f in _FIELDS[3:])
            numbers[name] = Assumption(name, value, low, high, unit, source, about)
        return cls(numbers, tuple(Strategy(**row) for row in data["strategies"]), str(data["origin"]))

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "origin": self.origin,
            "numbers": {
                name: {field: getattr(one, field) for field in _FIELDS} for name, one in self.numbers.items()
            },
            "strategies": [
                {field: getattr(one, field) for field in ("name", "title", "human", "gated", "scraped")}
                for one in self.strategies
            ],
        }


def template() -> str:
    """The packaged file, commented, for people to change."""
    return Path(__file__).with_name("assumptions.toml").read_text(encoding="utf-8")


def most_of(name: str) -> float:
    """Largest value that a number may take."""
    return float(_MOST.get(name, math.inf))


@functools.cache
def _default() -> Assumptions:
    data = parse_toml(template())
    strategies = data.pop("strategies")
    numbers = {}
    for group, table in data.items():
        for key, row in table.items():
            value = float(row["value"])
            name = f"{group}.{key}"
            low, high = float(row.get("low", value)), float(row.get("high", value))
            numbers[name] = Assumption(name, value, low, high, row["unit"], row["source"], row["about"])
    empty = Assumptions(numbers, ())
    return replace(empty.changed({"strategies": strategies}, "defaults"), origin="defaults")


def _unknown(where: str, name: str, known: Any) -> ConfigError:
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    hint = f"did you mean `{near[0]}`?" if near else f"known: {', '.join(sorted(known))}"
    return ConfigError(f"{where}: unknown key `{name}`", hint=hint)


def _number(value: Any, name: str, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ConfigError(f"{where}: `{name}` must be a finite number, got {value!r}")
    least = 1.0 if name in ("general.horizon", "training.interval", "data.images") else 0.0
    most = _MOST.get(name, math.inf)
    if not least <= value <= most:
        upto = "" if math.isinf(most) else f" to {most:g}"
        raise ConfigError(f"{where}: `{name}` must be from {least:g}{upto}, got {value!r}")
    if name in _WHOLE and value != int(value):
        raise ConfigError(f"{where}: `{name}` must be a whole number, got {value!r}")
    return float(value)


def _change(old: Assumption, given: Any, where: str) -> Assumption:
    source = f"given in {where}"
    if not isinstance(given, Mapping):
        value = _number(given, old.name, where)
        most = _MOST.get(old.name, math.inf)
        if old.value > 0:
            scale = value / old.value
            low, high = min(value, old.low * scale), min(max(value, old.high * scale), most)
        else:
            low = high = value
        return replace(old, value=value, low=low, high=high, source=source)
    for key in given:
        if key not in _FIELDS:
            raise _unknown(where, f"{old.name}.{key}", [f"{old.name}.{f}" for f in _FIELDS])
    value = _number(given.get("value", old.value), old.name, where)
    same = "value" not in given
    low = _number(given.get("low", old.low if same else min(old.low, value)), old.name, where)
    high = _number(given.get("high", old.high if same else max(old.high, value)), old.name, where)
    if not low <= value <= high:
        raise ConfigError(
            f"{where}: `{old.name}` must have low ≤ value ≤ high, got {low:g}, {value:g}, {high:g}"
        )
    texts = {key: str(given.get(key, getattr(old, key))) for key in ("unit", "about")}
    return replace(old, value=value, low=low, high=high, source=str(given.get("source", source)), **texts)


def _change_strategy(found: dict[str, Strategy], name: str, given: Any, where: str) -> None:
    known = ("title", "human", "gated", "scraped", "drop")
    if not isinstance(given, Mapping):
        raise ConfigError(f"{where}: `strategies.{name}` must be a table")
    for key in given:
        if key not in known:
            raise _unknown(where, f"strategies.{name}.{key}", [f"strategies.{name}.{k}" for k in known])
    for key in ("gated", "scraped", "drop"):
        if not isinstance(given.get(key, False), bool):
            raise ConfigError(f"{where}: `strategies.{name}.{key}` must be true or false, got {given[key]!r}")
    if given.get("drop"):
        found.pop(name, None)
        return
    old = found.get(name, Strategy(name, name.replace("_", " "), 0.0, False, False))
    scraped = bool(given.get("scraped", old.scraped))
    if name not in found and not scraped and "human" not in given:
        raise ConfigError(f"{where}: `strategies.{name}.human` is missing: the human share, 0 to 1")
    human = given.get("human", old.human)
    if isinstance(human, bool) or not isinstance(human, (int, float)) or not 0 <= human <= 1:
        raise ConfigError(f"{where}: `strategies.{name}.human` must be from 0 to 1, got {human!r}")
    gated = bool(given.get("gated", old.gated))
    if scraped and gated:
        raise ConfigError(f"{where}: `strategies.{name}` cannot be both scraped unfiltered and gated")
    found[name] = Strategy(name, str(given.get("title", old.title)), float(human), gated, scraped)
