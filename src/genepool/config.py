"""``genepool.toml`` (or ``[tool.genepool]`` of a ``pyproject.toml``) → one frozen `Config`.

Unknown keys are refused with the nearest known name and the line. Every default is stated here once;
``genepool init`` writes them out with these comments.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import sys
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from genepool._toml import TomlProblem, parse_toml
from genepool.errors import ConfigError

__all__ = [
    "ComputeConfig",
    "Config",
    "DetectionConfig",
    "DiversityConfig",
    "EngineConfig",
    "EvidenceConfig",
    "GenerationConfig",
    "LedgerConfig",
    "PolicyConfig",
    "ReviewConfig",
    "ScanConfig",
    "config_directory",
    "describe",
    "load",
    "parse",
]


_LARGE = 2**63
"""What the configuration is written to, JSON and the log, holds integers of 64 bits."""


def _doc(default: Any, text: str, *, low: float | None = None, high: float | None = None) -> Any:
    meta = {"doc": text, "low": low, "high": high}
    if isinstance(default, (tuple, dict)):
        return field(default_factory=lambda: default, metadata=meta)
    return field(default=default, metadata=meta)


@dataclass(frozen=True, slots=True)
class PolicyConfig:
    """What a set must satisfy."""

    human_ratio: float = _doc(0.70, "guaranteed share of human-made images", low=0, high=1)
    alpha: float = _doc(0.05, "1 − confidence of every bound", low=1e-6, high=0.5)
    diversity: float = _doc(0.60, "floor of the style diversity index", low=0, high=1)
    near_duplicates: float = _doc(0.20, "largest share of redundant near-duplicates", low=0, high=1)
    rights: Literal["fail", "exclude", "ignore"] = _doc(
        "fail", "images whose owner opted out of training: fail the set, set them aside, or ignore"
    )
    slices: tuple[str, ...] = _doc(
        ("artist", "style", "source"), "sidecar columns whose values are judged one by one"
    )
    slice_min: int = _doc(30, "smallest slice that is judged on its own", low=1)
    rules: tuple[str, ...] = _doc(
        (), "plug-ins whose rules are applied beside the built-in ones, `name` or `name:argument`"
    )


@dataclass(frozen=True, slots=True)
class GenerationConfig:
    """How many machine generations from a person an image may be."""

    max: int = _doc(2, "highest generation allowed; 3 and beyond is toxic", low=0, high=1000)
    unknown: Literal["exclude", "undecided", "fail"] = _doc(
        "exclude", "known-synthetic images whose generation may be above max"
    )
    rule: Literal["number", "inbreeding", "retention"] = _doc(
        "number", "what is toxic: a generation above max, a model too inbred, or one that retains too little"
    )
    inbreeding: float = _doc(
        0.25,
        "rule inbreeding: largest F of the model that made an image; .25 = child of full siblings",
        low=0,
        high=1,
    )
    retention: float = _doc(
        0.60,
        "rule retention: least share of its human roots' variance that an image's model keeps",
        low=0,
        high=1,
    )
    b2: float = _doc(
        0.80, "variance kept by one pass through a model; measure your own generator's", low=1e-6, high=1
    )
    tolerance: float = _doc(
        0.0,
        "share of a model's training set that may be of a higher generation without raising its own",
        low=0,
        high=0.5,
    )
    weights: tuple[float, ...] = _doc(
        (), "weight of machine-made images of generation 1, 2, …; the last holds for later ones, none = 1"
    )


@dataclass(frozen=True, slots=True)
class ReviewConfig:
    """What people are asked."""

    checkpoint: int = _doc(0, "no PASS without at least this many human verdicts on the set", low=0)
    checkpoint_outputs: int = _doc(
        0, "no PASS without at least this many judged images of each known model's outputs in the set", low=0
    )
    preferences: tuple[str, ...] = _doc(
        (), "published preference models shown beside people's votes (onnx:FILE, transformers:FOLDER or ID)"
    )


@dataclass(frozen=True, slots=True)
class EvidenceConfig:
    """Which marks are believed."""

    trust_anchors: tuple[str, ...] = _doc((), "PEM files of C2PA certificate authorities that are trusted")
    archives: tuple[str, ...] = _doc(
        (), "sources (sidecar `source`) whose dates before 2021 prove human work"
    )
    watermarks: bool = _doc(False, "look for the invisible watermarks of Stable Diffusion, SDXL and FLUX")
    readers: tuple[str, ...] = _doc((), "plug-ins that read further evidence, `name` or `name:argument`")


@dataclass(frozen=True, slots=True)
class DetectionConfig:
    """The pixel judge."""

    detector: str = _doc("house", "detector plug-in, `name` or `name:argument` (onnx:/path/model.onnx)")
    threshold: float = _doc(
        0.94, "selective accuracy asked of the detector; elsewhere it abstains", low=0.5, high=1
    )


@dataclass(frozen=True, slots=True)
class DiversityConfig:
    """The style diversity index."""

    embedder: str = _doc("house", "embedder plug-in")
    copy_vectors: bool = _doc(False, "copies by the embedder's copy vectors too: finds more, errs more")
    panel: str = _doc("", "path of a reference panel; empty = the one in the package")


@dataclass(frozen=True, slots=True)
class ScanConfig:
    """The pass over the images."""

    max_pixels: int = _doc(89_478_485, "images with more pixels are set aside unread", low=1)
    max_bytes: int = _doc(512 * 1024 * 1024, "files larger than this are set aside unread", low=1)
    unit: int = _doc(256, "images per unit of work", low=1, high=100_000)
    timeout: float = _doc(300.0, "seconds without progress after which a worker is replaced", low=1)
    merge: int = _doc(256, "small parts of the catalogue beyond which they are merged; 0 = never", low=0)


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """How units are run."""

    name: str = _doc("local", "engine plug-in")
    workers: int = _doc(0, "processes; 0 = one per core; on Ray one per CPU of the cluster", low=0, high=4096)
    address: str = _doc("", "Ray: ray://host:port, host:port, auto, local; empty = RAY_ADDRESS or local")
    gpus: float = _doc(0.0, "GPUs, or a share of one, that each worker asks Ray for", low=0, high=64)
    partition_above: int = _doc(
        2_000_000, "images beyond which duplicates are found partition by partition on disk", low=1
    )


@dataclass(frozen=True, slots=True)
class ComputeConfig:
    """Where embedders and detectors run."""

    provider: Literal["cpu", "cuda", "auto"] = _doc(
        "cpu", "cuda: a card, else the processor with a warning; auto: a card where there is one"
    )
    batch: int = _doc(
        0, "images a model is shown at once; 0 = one on the processor, measured on a card", low=0, high=1024
    )


@dataclass(frozen=True, slots=True)
class LedgerConfig:
    """The log."""

    key: str = _doc("", "private key file; empty = the user's own, made on first use")
    trust: str = _doc("", "trust policy file; empty = the user's own key only")
    logs: tuple[str, ...] = _doc((), "further logs that are read, never written")


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that can be set. Immutable; `with_` returns a changed copy."""

    schema: int = _doc(1, "version of this file's format", low=1, high=1)
    policy: PolicyConfig = field(default_factory=PolicyConfig)
    generation: GenerationConfig = field(default_factory=GenerationConfig)
    review: ReviewConfig = field(default_factory=ReviewConfig)
    evidence: EvidenceConfig = field(default_factory=EvidenceConfig)
    detection: DetectionConfig = field(default_factory=DetectionConfig)
    diversity: DiversityConfig = field(default_factory=DiversityConfig)
    scan: ScanConfig = field(default_factory=ScanConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)
    compute: ComputeConfig = field(default_factory=ComputeConfig)
    ledger: LedgerConfig = field(default_factory=LedgerConfig)

    def with_(self, **changes: Any) -> Config:
        """A copy with dotted keys changed, ``policy__human_ratio=0.8``; values are checked like a file's.

        Raises:
            ConfigError: An unknown key or a value of the wrong type or range.
        """
        data = self.to_json()
        for dotted, value in changes.items():
            *tables, key = dotted.split("__")
            place = data
            for table in tables:
                place = place.setdefault(table, {})
            place[key] = list(value) if isinstance(value, tuple) else value
        return parse(data)

    def to_json(self) -> dict[str, Any]:
        """Plain data, as a file would hold it."""
        return typing.cast("dict[str, Any]", _plain(dataclasses.asdict(self)))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    return value


def parse(data: Mapping[str, Any], *, text: str = "", where: str = "configuration") -> Config:
    """Check plain data and build a `Config`.

    Args:
        data: As read from TOML.
        text: The file's text, for line numbers.
        where: Name of the file, for messages.

    Raises:
        ConfigError: Unknown key (nearest name suggested), wrong type, value out of range.
    """
    return typing.cast("Config", _build(Config, data, "", text, where))


def _build(kind: type, data: Mapping[str, Any], prefix: str, text: str, where: str) -> Any:
    hints = typing.get_type_hints(kind)
    fields = {f.name: f for f in dataclasses.fields(kind)}
    values: dict[str, Any] = {}
    for key, value in data.items():
        if key not in fields:
            near = difflib.get_close_matches(str(key), fields, n=1, cutoff=0.6)
            raise ConfigError(
                f"{where}{_line(text, key)}: unknown key `{prefix}{key}`",
                hint=f"did you mean `{prefix}{near[0]}`?" if near else f"known keys: {', '.join(fields)}",
            )
        if dataclasses.is_dataclass(hints[key]):
            if not isinstance(value, Mapping):
                raise ConfigError(f"{where}{_line(text, key)}: `{prefix}{key}` must be a table")
            values[key] = _build(typing.cast("type", hints[key]), value, f"{prefix}{key}.", text, where)
        else:
            values[key] = _check(
                value, hints[key], fields[key], f"{prefix}{key}", f"{where}{_line(text, key)}"
            )
    return kind(**values)


def _check(value: Any, hint: Any, spec: dataclasses.Field[Any], name: str, where: str) -> Any:
    def wrong(expected: str) -> ConfigError:
        return ConfigError(f"{where}: `{name}` must be {expected}, got {value!r}")

    origin = typing.get_origin(hint)
    if origin is Literal:
        if value not in typing.get_args(hint):
            raise wrong("one of " + ", ".join(map(repr, typing.get_args(hint))))
        return value
    if origin is tuple:
        numbers = float in typing.get_args(hint)
        if not isinstance(value, (list, tuple)) or not all(map(_weight if numbers else _is_text, value)):
            raise wrong("a list of finite numbers from 0" if numbers else "a list of strings")
        return tuple(map(float, value)) if numbers else tuple(value)
    if isinstance(value, int) and not -_LARGE <= value < _LARGE:
        raise wrong("a number of at most 64 bits")
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if (
        isinstance(hint, types.UnionType)
        or not isinstance(value, hint)
        or (hint is not bool and isinstance(value, bool))
    ):
        raise wrong(
            {"float": "a number", "int": "an integer", "str": "a string"}.get(hint.__name__, hint.__name__)
        )
    low, high = spec.metadata.get("low"), spec.metadata.get("high")
    if isinstance(value, float) and value != value:
        raise wrong("a number")
    if low is not None and value < low:
        raise wrong(f"at least {low:g}")
    if high is not None and value > high:
        raise wrong(f"at most {high:g}")
    return value


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _weight(value: Any) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and 0 <= value <= sys.float_info.max


def _line(text: str, key: str) -> str:
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.strip().lstrip("[").lstrip()
        if bare.startswith(key) and bare[len(key) :].lstrip()[:1] in ("=", "]", "."):
            return f" line {number}"
    return ""


def load(path: str | Path | None = None) -> Config:
    """Read a configuration file.

    Args:
        path: A TOML file. None: ``genepool.toml`` in the current folder, else ``[tool.genepool]`` in
            ``pyproject.toml`` there, else the defaults.

    Raises:
        ConfigError: The file is missing, is not TOML, or holds something unknown.
    """
    if path is None:
        if Path("genepool.toml").is_file():
            return load("genepool.toml")
        if Path("pyproject.toml").is_file():
            data = _toml(Path("pyproject.toml"))[0].get("tool", {})
            if "genepool" in data:
                return parse(data["genepool"], where="pyproject.toml [tool.genepool]")
        return Config()
    data, text = _toml(Path(path))
    if Path(path).name == "pyproject.toml":
        data = data.get("tool", {}).get("genepool", {})
    return parse(data, text=text, where=str(path))


def _toml(path: Path) -> tuple[dict[str, Any], str]:
    try:
        text = path.read_text("utf-8")
        return parse_toml(text), text
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such configuration file", hint="genepool init writes one") from None
    except (OSError, UnicodeDecodeError, TomlProblem) as error:
        raise ConfigError(f"{path}: not a readable TOML file: {error}") from None


def describe() -> list[tuple[str, Any, str]]:
    """Every key, dotted, with its default and its meaning, in file order."""
    rows: list[tuple[str, Any, str]] = []
    for top in dataclasses.fields(Config):
        value = getattr(Config(), top.name)
        if dataclasses.is_dataclass(value):
            rows.extend(
                (f"{top.name}.{f.name}", getattr(value, f.name), f.metadata["doc"])
                for f in dataclasses.fields(value)
            )
        else:
            rows.append((top.name, value, top.metadata["doc"]))
    return rows


def config_directory() -> Path:
    """Where keys and the trust policy live: ``GENEPOOL_HOME``, else the user's configuration folder."""
    if home := os.environ.get("GENEPOOL_HOME"):
        return Path(home)
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "genepool"
