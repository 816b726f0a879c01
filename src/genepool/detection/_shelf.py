"""Where calibrations lie, and which one holds for a detector.

They are found by the model's SHA-256, in this order: the workspace (made for this data), the user's own
configuration folder (``genepool calibrate`` writes there: a detector is calibrated once and then looks at
many sets, each with a workspace of its own), the one that ships with the embedded model. One that was made
for a lower selective accuracy than is asked for does not count.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genepool.config import config_directory
from genepool.detection._calibration import Calibration
from genepool.errors import ConfigError, WorkspaceError

if TYPE_CHECKING:
    from genepool.store import Workspace

__all__ = ["FILE", "Shelf", "keep_calibration", "load_calibration"]

FILE = "calibration.json"
_SEVERAL = "genepool.calibrations/1"
_BUILT_IN = ("model", "calibration.json")


class Shelf:
    """Finds the calibration of a detector; what was found is remembered.

    Args:
        workspace: Its ``calibration.json`` outranks all others; None: has none.
        threshold: Selective accuracy asked for.
    """

    def __init__(self, workspace: Workspace | None, threshold: float) -> None:
        self.workspace = workspace
        self.threshold = threshold
        self._known: dict[str, Calibration | None] = {}

    def of(self, model: str) -> Calibration | None:
        """The calibration for ``name@digest`` or a bare digest; None where there is none.

        Raises:
            ConfigError: A file is there but holds something else.
            WorkspaceError: A file is there but is not JSON.
        """
        digest = model.rpartition("@")[2]
        if digest not in self._known:
            self._known[digest] = load_calibration(self.workspace, self.threshold, digest=digest)
        return self._known[digest]


def load_calibration(
    workspace: Workspace | None, threshold: float, *, digest: str | None = None
) -> Calibration | None:
    """The calibration that holds, or None where there is none.

    Args:
        workspace: Where one may lie; None: nowhere.
        threshold: Selective accuracy that is asked for.
        digest: SHA-256 of the model (hex): workspace, user's folder and built-in are looked through, in this
            order. None: the workspace alone, whatever model its (only or first) calibration is for.

    Raises:
        ConfigError: A file is there but holds something else.
        WorkspaceError: A file is there but is not JSON.
    """
    held = _records(workspace.read_json(FILE) if workspace is not None else None)
    if digest is None:
        found = next(iter(held.values()), None)
        return found if found is not None and found.accuracy >= threshold else None
    for records in (held, _user(digest), _built_in()):
        found = records.get(digest)
        if found is not None and found.accuracy >= threshold:
            return found
    return None


def keep_calibration(calibration: Calibration, workspace: Workspace | None = None) -> Path:
    """Store a calibration, replacing the one for the same model.

    Args:
        calibration: What `calibrate` found.
        workspace: Keep it for this workspace only; None: for the user, whatever data are looked at.

    Returns:
        The file.

    Raises:
        ConfigError: The workspace's file holds something else.
        WorkspaceError: It cannot be written.
    """
    if workspace is not None:
        records = _records(workspace.read_json(FILE))
        records[calibration.detector] = calibration
        data = {digest: record.to_json() for digest, record in sorted(records.items())}
        workspace.write_json(FILE, {"schema": _SEVERAL, "calibrations": data})
        return workspace.root / FILE
    target = _user_file(calibration.detector)
    write(target, calibration.to_json())
    return target


def write(target: Path, data: Any) -> None:
    """Write a JSON file at once or not at all.

    Raises:
        WorkspaceError: It cannot be written.
    """
    import orjson

    part = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(orjson.dumps(data, option=orjson.OPT_INDENT_2))
        part.replace(target)
    except OSError as error:
        raise WorkspaceError(
            f"{target}: cannot be written: {error.strerror or error}",
            hint="set GENEPOOL_HOME to a writable folder",
        ) from error


def _records(data: Any) -> dict[str, Calibration]:
    """The calibrations of a file's content, by model; one record alone is what earlier versions wrote."""
    if data is None:
        return {}
    if isinstance(data, Mapping) and data.get("schema") == _SEVERAL:
        several = data.get("calibrations")
        if not isinstance(several, Mapping):
            raise ConfigError(f"calibration: expected `calibrations`, found {type(several).__name__}")
        return {str(digest): Calibration.from_json(record) for digest, record in several.items()}
    one = Calibration.from_json(data)
    return {one.detector: one}


def _user_file(digest: str) -> Path:
    return config_directory() / "calibrations" / f"{digest[:64]}.json"


def _user(digest: str) -> dict[str, Calibration]:
    if not digest.isalnum():  # the digest names a file: nothing but a digest may
        return {}
    target = _user_file(digest)
    try:
        return _records(_parsed(target.read_bytes(), str(target)))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise WorkspaceError(f"{target}: cannot be read: {error.strerror or error}") from error


def _built_in() -> dict[str, Calibration]:
    place = resources.files("genepool.detection").joinpath(*_BUILT_IN)
    return _records(_parsed(place.read_bytes(), "built-in calibration")) if place.is_file() else {}


def _parsed(data: bytes, where: str) -> Any:
    import orjson

    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise WorkspaceError(
            f"{where}: expected JSON, found something else: {error}",
            hint=f"remove {where} and run genepool calibrate again",
        ) from error
