"""Is a workspace sound? Everything in it is read; nothing is changed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from genepool.errors import WorkspaceError
from genepool.store._listing import Listing, listing_batches
from genepool.store._parts import check_part, part_names
from genepool.store._verdicts import Verdicts

if TYPE_CHECKING:
    from genepool.store._workspace import Workspace


@dataclass(frozen=True, slots=True)
class Health:
    """What an inspection found.

    Attributes:
        parts: Parts read to the end.
        listings: Listings read to the end.
        verdicts: Verdicts in the review file.
        problems: One sentence per fault, naming the file; empty when all is sound.
    """

    parts: int
    listings: int
    verdicts: int
    problems: tuple[str, ...]


def inspect(workspace: Workspace) -> Health:
    """Read every part, listing and verdict of a workspace."""
    names = part_names(workspace.parts)
    faults = [check_part(workspace.parts, name) for name in names]
    problems = [f"part {fault}: its images are read anew by the next scan" for fault in faults if fault]
    states = sorted(workspace.catalogue.glob("sets/*/state.json"))
    known = set(names)
    for state in states:
        problems += _listing_problems(workspace, state, known)
    verdicts = 0
    try:
        with Verdicts(workspace) as file:
            problems += file.check()
            verdicts = file.count()
    except WorkspaceError as error:
        problems.append(error.message)
    return Health(len(names), len(states), verdicts, tuple(problems))


def _listing_problems(workspace: Workspace, state: Path, known: set[str]) -> list[str]:
    name = str(state.relative_to(workspace.root))
    try:
        listing = Listing.from_json(workspace.read_json(name))
        n = sum(batch.num_rows for batch in listing_batches(state.parent / listing.file, 65536, keep=True))
    except WorkspaceError as error:
        return [error.message]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return [f"{name}: expected a listing, found something else: {error!r}"]
    problems = []
    if n != listing.n:
        problems.append(f"{name}: expected {listing.n} rows in {listing.file}, found {n}")
    missing = [part for part, _ in listing.parts if part not in known]
    if missing:
        problems.append(f"{name}: {len(missing)} of its parts are missing, the first is {missing[0]}")
    return problems
