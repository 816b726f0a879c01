"""Is a workspace sound? Everything in it is read; nothing is changed.

A *problem* is something that is damaged or missing; a *note* is something that the next scan, a repair or a
compaction clears away by itself.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from genepool.errors import WorkspaceError
from genepool.store._aside import FOLDER
from genepool.store._changes import item_mark
from genepool.store._compact import unused
from genepool.store._journal import Journal, Run, unfinished
from genepool.store._listing import Listing, all_listings, listing_batches
from genepool.store._parts import check_part, first_line, part_files, part_names, part_run, read_part
from genepool.store._verdicts import Verdicts

if TYPE_CHECKING:
    from genepool.store._workspace import Workspace

Kind = Literal[
    "mark", "json", "table", "leftover", "part", "vectors", "listing", "rows", "missing", "journal", "adopt",
    "run", "unused", "aside", "busy", "verdicts",
]  # fmt: skip

_JSON = ("decision.json", "links.json", "catalogue/retired.json")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that an inspection found.

    Attributes:
        kind: A short stable word.
        message: One sentence that names the file and says what becomes of it.
        paths: The files in question.
        problem: Whether it is one; otherwise a note.
    """

    kind: Kind
    message: str
    paths: tuple[Path, ...] = ()
    problem: bool = True


@dataclass(frozen=True, slots=True)
class Health:
    """What an inspection found.

    Attributes:
        parts: Parts read to the end.
        listings: Listings read to the end.
        verdicts: Verdicts in the review file.
        findings: Everything, problems first.
        runs: What the journal tells, oldest first.
    """

    parts: int
    listings: int
    verdicts: int
    findings: tuple[Finding, ...]
    runs: tuple[Run, ...]

    @property
    def problems(self) -> tuple[str, ...]:
        """One sentence per problem; empty when all is sound."""
        return tuple(found.message for found in self.findings if found.problem)

    @property
    def notes(self) -> tuple[str, ...]:
        """One sentence per note."""
        return tuple(found.message for found in self.findings if not found.problem)


def inspect(workspace: Workspace) -> Health:
    """Read every part, listing, table, journal line and verdict of a workspace.

    Raises:
        WorkspaceError: A file cannot be read for a reason that is not its content (permissions, handles).
    """
    found = [*_marks(workspace), *_tables(workspace)]
    busy = writer(workspace)
    if busy:
        note = f"process {busy} is writing: what it has not finished is not looked at"
        found.append(Finding("busy", note, problem=False))
    else:
        found += _leftovers(workspace)
    names = part_names(workspace.parts)
    facts: dict[str, _Facts] = {}
    for name in names:
        if fault := check_part(workspace.parts, name):
            message = f"part {fault}: its images are read anew by the next scan"
            found.append(Finding("part", message, tuple(part_files(workspace.parts, name))))
        else:
            facts[name] = _facts(workspace, name)
    states = sorted(workspace.catalogue.glob("sets/*/state.json"))
    referred: set[str] = set()
    for state in states:
        found += _listing(workspace, state, facts, referred)
    listed = {folder.name: listing.run for folder, listing in all_listings(workspace)}
    runs, findings = _journal(workspace, facts, listed, busy=bool(busy))
    found += [*findings, *_spare(workspace, facts, referred, unfinished(runs))]
    verdicts, findings = _verdicts(workspace)
    found += findings
    ordered = sorted(found, key=lambda finding: not finding.problem)
    return Health(len(names), len(states), verdicts, tuple(ordered), tuple(runs))


def writer(workspace: Workspace) -> str:
    """Process id of another process that holds the lock now; empty when nobody does.

    The lock is the kernel's: a number in a file that nobody holds is only the last writer's name.
    """
    try:
        descriptor = os.open(workspace.root / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        owner = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
        return "" if owner == str(os.getpid()) else owner or "unknown"
    finally:
        os.close(descriptor)
    return ""


# --------------------------------------------------------------------------------- files of their own


def _marks(workspace: Workspace) -> Iterator[Finding]:
    if not (workspace.root / "workspace.json").exists():
        message = f"{workspace.root}: workspace.json is missing; a repair writes it"
        yield Finding("mark", message, (workspace.root / "workspace.json",))
    for name in _JSON:
        try:
            data = workspace.read_json(name)
        except WorkspaceError as error:
            yield Finding("json", error.message, (workspace.root / name,))
        else:
            if data is not None and not isinstance(data, dict):
                message = f"{name}: expected an object, found {type(data).__name__}"
                yield Finding("json", message, (workspace.root / name,))


def _tables(workspace: Workspace) -> Iterator[Finding]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    tables = [workspace.cases, *sorted(workspace.catalogue.glob("sets/*/origins*.parquet"))]
    for path in tables:
        if not path.exists():
            continue
        try:
            with pq.ParquetFile(path, page_checksum_verification=True) as file:
                for _ in file.iter_batches(use_threads=False):
                    pass
        except (OSError, pa.ArrowException) as error:
            shown = path.relative_to(workspace.root)
            message = f"{shown}: {first_line(error)}: written anew by the next check"
            yield Finding("table", message, (path,))


def _leftovers(workspace: Workspace) -> Iterator[Finding]:
    places = (workspace.root, workspace.catalogue, workspace.parts, *workspace.catalogue.glob("sets/*"))
    paths = [
        path
        for place in places
        for pattern in (".*.tmp", "*.sorted.tmp", "*.partial")
        for path in sorted(place.glob(pattern))
    ]
    for path in dict.fromkeys(paths):
        shown = path.relative_to(workspace.root)
        yield Finding("leftover", f"{shown}: left by a writer that was cut short", (path,), problem=False)
    for path in sorted(workspace.parts.glob("*.vec.parquet")):
        core = path.with_name(path.name.replace(".vec.parquet", ".parquet"))
        if not core.exists():
            shown = path.relative_to(workspace.root)
            message = f"{shown}: vectors of a part that was never finished; its images are read anew"
            yield Finding("vectors", message, (path,), problem=False)


# ------------------------------------------------------------------------------ parts and listings


@dataclass(frozen=True, slots=True)
class _Facts:
    """What listings can be held against: one byte and eight per row."""

    run: int
    readable: NDArray[np.bool_]
    marks: NDArray[np.uint64]
    size: int


def _facts(workspace: Workspace, name: str) -> _Facts:
    table = read_part(workspace.parts, name, ["place", "stamp", "reason"])
    pairs = zip(table.column("place").to_pylist(), table.column("stamp").to_pylist(), strict=True)
    # A place with a backslash may be the written-out form of other bytes: not compared.
    marks = [0 if "\\" in place else item_mark(place, stamp) for place, stamp in pairs]
    readable = table.column("reason").is_null().to_numpy(zero_copy_only=False)
    size = sum(path.stat().st_size for path in part_files(workspace.parts, name))
    return _Facts(part_run(table), readable, np.array(marks, np.uint64), size)


def _listing(
    workspace: Workspace, state: Path, facts: Mapping[str, _Facts], referred: set[str]
) -> Iterator[Finding]:
    name = str(state.relative_to(workspace.root))
    paths = [state]
    try:
        listing = Listing.from_json(workspace.read_json(name))
        parts = [part for part, _ in listing.parts]
        referred.update(parts)
        paths.append(state.parent / listing.file)
        n, wrong = _rows(state.parent / listing.file, [facts.get(part) for part in parts])
    except WorkspaceError as error:
        yield Finding("listing", error.message, tuple(paths))
        return
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        message = f"{name}: expected a listing, found something else: {error!r}"
        yield Finding("listing", message, (state,))
        return
    if n != listing.n:
        message = f"{name}: expected {listing.n} rows in {listing.file}, found {n}"
        yield Finding("rows", message, (state,))
    elif wrong:
        message = (
            f"{name}: {wrong} of {n} rows in {listing.file} do not say what the parts say; the next scan "
            "after a repair makes it anew"
        )
        yield Finding("rows", message, (state,))
    bare = [
        part
        for part in parts
        if listing.vectors and part in facts and len(part_files(workspace.parts, part)) < 2
    ]
    for part in bare:
        message = f"part {part}.vec.parquet: missing: its images are read anew by the next scan"
        yield Finding("part", message, tuple(part_files(workspace.parts, part)))
    missing = [part for part in parts if part not in facts]
    if missing:
        message = (
            f"{name}: {len(missing)} of its parts are missing or damaged, the first is {missing[0]}: "
            f"genepool scan {listing.uri} reads their images anew"
        )
        yield Finding("missing", message)


def _rows(path: Path, facts: list[_Facts | None]) -> tuple[int, int]:
    """Rows of a listing, and how many of them the parts contradict."""
    n = wrong = 0
    for batch in listing_batches(path, 65536, keep=True):
        n += batch.num_rows
        part, row = batch.column("part").to_numpy(), batch.column("row").to_numpy()
        readable = batch.column("readable").to_numpy(zero_copy_only=False)
        mark = batch.column("mark").to_numpy()
        for number in np.unique(part):
            chosen = part == number
            known = facts[number] if 0 <= number < len(facts) else None
            if known is None:
                wrong += 0 if 0 <= number < len(facts) else int(chosen.sum())
                continue
            at = row[chosen]
            inside = (at >= 0) & (at < len(known.readable))
            wrong += int((~inside).sum())
            at = at[inside]
            other = known.marks[at]
            agrees = (known.readable[at] == readable[chosen][inside]) & (
                (other == mark[chosen][inside]) | (other == 0)
            )
            wrong += int((~agrees).sum())
    return n, wrong


def _spare(
    workspace: Workspace, facts: Mapping[str, _Facts], referred: set[str], pending: set[int]
) -> Iterator[Finding]:
    gone = unused(workspace)
    spare = [name for name, known in facts.items() if name not in referred and known.run not in pending]
    if spare:
        size = sum(facts[name].size for name in spare)
        waiting = sum(name in gone for name in spare)
        message = f"{len(spare)} parts ({size:,} bytes) that no dataset uses: genepool doctor PATH --compact"
        if waiting == len(spare):
            message = f"{len(spare)} merged parts ({size:,} bytes) go an hour after the compaction"
        yield Finding("unused", message, problem=False)
    aside = [path for path in (workspace.root / FOLDER).rglob("*") if path.is_file()]
    if aside:
        size = sum(path.stat().st_size for path in aside)
        message = f"{FOLDER}/: {len(aside)} files ({size:,} bytes) moved aside earlier; remove them at will"
        yield Finding("aside", message, problem=False)


# ------------------------------------------------------------------------------ journal and verdicts


def _journal(
    workspace: Workspace, facts: Mapping[str, _Facts], listed: Mapping[str, int], *, busy: bool
) -> tuple[list[Run], list[Finding]]:
    journal = Journal(workspace)
    runs, broken = journal.read()
    found = []
    if broken:
        message = f"{journal.path.name}: {broken} lines are not readable; the others count"
        found.append(Finding("journal", message, (journal.path,)))
    by_number = {run.number: run for run in runs}
    told = {part for run in runs for part in run.units}
    strange = [
        name
        for name, known in facts.items()
        if name not in told and not by_number.get(known.run, _NOBODY).thinned
    ]
    if strange and not busy:
        message = f"{len(strange)} parts count of which the journal does not tell, the first is {strange[0]}"
        paths = tuple(workspace.parts / f"{name}.parquet" for name in strange)
        found.append(Finding("adopt", message, paths, problem=False))
    for number in sorted(unfinished(runs)) if not busy else ():
        run = by_number[number]
        # Killed after its listing was in force, a scan has done what it was for.
        done = run.what == "scan" and listed.get(str(run.facts.get("set", "")), 0) >= number
        if run.what in ("scan", "check") and not done:
            how = "was killed" if run.outcome in ("open", "killed") else f"was {run.outcome}"
            how = f"failed ({run.message})" if run.outcome == "failed" else how
            after = f" after {len(run.units)} units" if run.what == "scan" else ""
            message = (
                f"run {number}, {run.what} of {run.dataset}, begun {run.begun}, {how}{after}: "
                "the same command goes on from there"
            )
            found.append(Finding("run", message, problem=False))
    return runs, found


_NOBODY = Run(0, "nobody")


def _verdicts(workspace: Workspace) -> tuple[int, list[Finding]]:
    try:
        with Verdicts(workspace) as file:
            wrong = file.check()
            return file.count(), [Finding("verdicts", text, (workspace.reviews,)) for text in wrong]
    except WorkspaceError as error:
        return 0, [Finding("verdicts", error.message, (workspace.reviews,))]
