"""The ladder: pictures of known quality, the same for every set, frozen by digest."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genepool.errors import IntegrityError, UsageError

if TYPE_CHECKING:
    from genepool.store import Workspace

__all__ = ["Ladder", "Rung", "load_ladder"]

_SUFFIXES = (".webp", ".png", ".jpg", ".jpeg")


@dataclass(frozen=True, slots=True)
class Rung:
    """One picture.

    Attributes:
        name: Its name, for reports.
        sha256: Digest of the file, hex.
        path: The file.
        scene: Pictures of one scene differ only by degradation; empty: not known.
        step: 0 is the original; −1: not known.
        psnr: Measured peak signal-to-noise ratio against the original in dB; None: original or not known.
    """

    name: str
    sha256: str
    path: Path
    scene: str = ""
    step: int = -1
    psnr: float | None = None


@dataclass(frozen=True, slots=True)
class Ladder:
    """All rungs, and the digest over theirs that freezes them."""

    rungs: tuple[Rung, ...]
    digest: str

    @property
    def names(self) -> dict[str, str]:
        """Digest → name."""
        return {rung.sha256: rung.name for rung in self.rungs}

    @property
    def steps(self) -> dict[str, tuple[str, int]]:
        """Digest → (scene, step), where known."""
        return {r.sha256: (r.scene, r.step) for r in self.rungs if r.scene}


def load_ladder(folder: str | Path | None = None, workspace: Workspace | None = None) -> Ladder:
    """The packaged ladder, or a folder of the user's own pictures.

    Args:
        folder: Pictures of the user's own; None: the packaged one.
        workspace: Where the choice is frozen at its first use: scores against another ladder would not
            compare.

    Raises:
        UsageError: Fewer than two pictures in the folder.
        IntegrityError: The packaged files were altered, or this workspace was begun with another ladder.
    """
    place = Path(folder) if folder is not None else Path(__file__).parent / "ladder"
    listed = _listed(place) if folder is None else {}
    files = sorted(p for p in place.iterdir() if p.suffix.lower() in _SUFFIXES) if place.is_dir() else []
    rungs = []
    for path in files:
        digest = sha256(path.read_bytes()).hexdigest()
        known: Any = listed.get(path.name, {})
        if folder is None and known.get("sha256") != digest:
            raise IntegrityError(f"ladder: {path.name}: expected the packaged picture, found another one")
        rungs.append(
            Rung(path.stem, digest, path, known.get("scene", ""), known.get("step", -1), known.get("psnr"))
        )
    if len(rungs) < 2 or (folder is None and len(rungs) != len(listed)):
        raise UsageError(f"ladder: expected at least two pictures in {place}, found {len(rungs)}")
    whole = sha256("\n".join(sorted(r.sha256 for r in rungs)).encode()).hexdigest()
    if workspace is not None:
        held = workspace.read_json("ladder.json")
        if held is None:
            workspace.write_json("ladder.json", {"digest": whole, "rungs": [r.name for r in rungs]})
        elif held.get("digest") != whole:
            raise IntegrityError(
                f"ladder: expected the one this workspace was begun with, {held.get('digest', '')[:16]}…, "
                f"found {whole[:16]}…",
                hint="give the same --ladder DIR as before, or use another --workspace",
            )
    return Ladder(tuple(rungs), whole)


def _listed(place: Path) -> dict[str, Any]:
    import orjson

    found: dict[str, Any] = orjson.loads((place / "ladder.json").read_bytes())["files"]
    return found
