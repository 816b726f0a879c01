"""What of a check is sealed and travels in certificates: without times and places of this machine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

from genepool.config import Config

__all__ = ["sealed_decision", "sealed_policy"]

# What decides is sealed; how many workers ran, which key file and which folder it was is nobody's business.
_JUDGING = ("schema", "policy", "generation", "review", "evidence", "detection", "diversity")
_LOCAL = ("timing", "ledger")
_FOLDERS = re.compile(r"[^:]*/")


def sealed_policy(config: Config | None) -> bytes:
    """The settings that a decision depends on, as JSON; paths are cut to their last component."""
    return _dump(_judging((config or Config()).to_json()))


def sealed_decision(decision: Mapping[str, Any]) -> bytes:
    """A decision as JSON, without timing and log, its dataset and files named by their last component."""
    kept = {key: value for key, value in decision.items() if key not in _LOCAL}
    dataset = kept.get("dataset")
    if isinstance(dataset, Mapping) and isinstance(dataset.get("uri"), str):
        name = dataset["uri"].rstrip("/").rpartition("/")[2]
        kept["dataset"] = {**dataset, "uri": name or dataset["uri"]}
    if isinstance(kept.get("config"), Mapping):
        kept["config"] = _judging(kept["config"])
    return _dump(kept)


def _judging(config: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _without_folders(config[key]) for key in _JUDGING if key in config}


def _without_folders(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_folders(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_folders(item) for item in value]
    return _FOLDERS.sub("", value) if isinstance(value, str) else value


def _dump(data: Any) -> bytes:
    return orjson.dumps(data, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS, default=str)
