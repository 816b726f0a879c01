"""The engine that the configuration names."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from genepool import plugins

if TYPE_CHECKING:
    from genepool.config import Config
    from genepool.records import Engine

__all__ = ["configured"]


def configured(config: Config, *, timeout: float = 0.0) -> Engine:
    """Make the engine of ``engine.name``: ``name`` or ``name:argument``, as in ``ray:ray://head:10001``.

    Args:
        config: ``engine.address`` and ``engine.gpus`` reach the engines that know them.
        timeout: Seconds without progress after which a worker is replaced; 0: ``scan.timeout``.

    Raises:
        PluginError: There is no such engine, or it cannot be made.
        MissingExtra: It needs what is not installed.
    """
    section = config.engine
    name, _, argument = section.name.partition(":")
    options: dict[str, Any] = {"workers": section.workers, "timeout": timeout or config.scan.timeout}
    known = _parameters(plugins.load("engines", name))
    if section.address and not argument and "address" in known:
        options["address"] = section.address
    if section.gpus and "gpus" in known:
        options["gpus"] = section.gpus
    engine: Engine = plugins.create("engines", section.name, **options)
    return engine


def _parameters(factory: Any) -> set[str]:
    try:
        return set(inspect.signature(factory).parameters)
    except (TypeError, ValueError):  # something written in C
        return set()
