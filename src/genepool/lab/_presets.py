"""Presets: what is run, as data, written down before it is run."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from importlib import resources
from pathlib import Path
from typing import Any

from genepool._toml import TomlProblem, parse_toml
from genepool.errors import ConfigError, UsageError
from genepool.lab._exchange import Exchange
from genepool.lab._study import Study

__all__ = ["PRESETS", "Preset", "load_preset"]

PRESETS = ("theory", "table", "policies", "exchange", "paintings", "full")
_FORMAT = "genepool.lab.preset/1"
_CHECKS = 17  # of the theory


@dataclass(frozen=True, slots=True)
class Preset:
    """A run.

    Attributes:
        name: Of the preset.
        theory: Whether the closed forms are checked.
        studies: Chains of models.
        exchanges: Exchange rates.
    """

    name: str
    theory: bool
    studies: tuple[Study, ...]
    exchanges: tuple[Exchange, ...]

    @property
    def steps(self) -> int:
        """Progress units."""
        run = sum(study.steps for study in self.studies) + sum(plan.steps for plan in self.exchanges)
        return run + _CHECKS * self.theory

    def to_json(self) -> dict[str, Any]:
        """Plain data, whole: what decides a result."""
        return {
            "format": _FORMAT,
            "name": self.name,
            "theory": self.theory,
            "studies": [study.to_json() for study in self.studies],
            "exchanges": [plan.to_json() for plan in self.exchanges],
        }

    def with_(self, *, seeds: int | None = None, generations: int | None = None) -> Preset:
        """The same with another number of seeds (the first ones, or counted on) or of generations."""

        def changed(part: Any) -> Any:
            new = part
            if seeds is not None:
                more = range(max(part.seeds) + 1, max(part.seeds) + 1 + max(0, seeds - len(part.seeds)))
                new = replace(new, seeds=(*part.seeds[:seeds], *more))
            return replace(new, generations=generations) if generations is not None else new

        studies = tuple(changed(study) for study in self.studies)
        return replace(self, studies=studies, exchanges=tuple(changed(plan) for plan in self.exchanges))


def load_preset(name: str) -> Preset:
    """A preset by name, or from a TOML file of the same form.

    Raises:
        UsageError: No such preset or file.
        ConfigError: An unknown key, or a value of the wrong kind.
    """
    if name in PRESETS:
        text = resources.files("genepool.lab").joinpath("presets", f"{name}.toml").read_text("utf-8")
    else:
        path = Path(name)
        if path.suffix != ".toml" or not path.is_file():
            raise UsageError(f"preset: expected {', '.join(PRESETS)} or a .toml file, found {name!r}")
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError as error:
            raise ConfigError(f"{name}: not TOML: {error}") from None
    try:
        data = parse_toml(text)
    except TomlProblem as error:
        raise ConfigError(f"{name}: not TOML: {error}") from None
    return _built(name, data)


def _built(name: str, data: dict[str, Any]) -> Preset:
    if data.pop("format", None) != _FORMAT:
        raise ConfigError(f"{name}: expected format = {_FORMAT!r}")
    included = [load_preset(str(other)) for other in data.pop("include", [])]
    found = Preset(
        str(data.pop("name", Path(name).stem)),
        bool(data.pop("theory", False)) or any(p.theory for p in included),
        (
            *(s for p in included for s in p.studies),
            *(_part(Study, row, name) for row in data.pop("study", [])),
        ),
        (
            *(e for p in included for e in p.exchanges),
            *(_part(Exchange, row, name) for row in data.pop("exchange", [])),
        ),
    )
    if data:
        raise ConfigError(f"{name}: unknown key {next(iter(data))!r}")
    names = [study.name for study in found.studies] + [plan.name for plan in found.exchanges]
    if len(set(names)) < len(names):
        raise ConfigError(f"{name}: two studies have one name")
    return found


def _part(kind: Any, row: dict[str, Any], name: str) -> Any:
    known = {f.name for f in fields(kind)}
    unknown = sorted(set(row) - known)
    if unknown:
        raise ConfigError(f"{name}: unknown key {unknown[0]!r}", hint=f"known: {', '.join(sorted(known))}")
    try:
        return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in row.items()})
    except TypeError as error:
        raise ConfigError(f"{name}: {error}") from None
