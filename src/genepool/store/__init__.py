"""The catalogue of a dataset on disk: workspace, parts, listings, origins, verdicts.

A workspace is one folder. Rows live in immutable Parquet parts that all datasets of the workspace share; a
listing per dataset says which rows are live, in the order of their uris; verdicts are appended to SQLite and
never written into the columns. Every file appears whole or not at all.
"""

from __future__ import annotations

from genepool.store._catalogue import Catalogue, ScanStats
from genepool.store._changes import NOTHING, Changes, compare, item_mark
from genepool.store._compact import Compaction, collect, compact, small_parts, unused
from genepool.store._copies import log_url
from genepool.store._files import sweep, write_atomic
from genepool.store._index import PartIndex
from genepool.store._inspect import Finding, Health, inspect
from genepool.store._journal import Journal, Recording, Run
from genepool.store._listing import (
    Listing,
    ListingWriter,
    dataset_folder,
    is_sound,
    put_in_force,
    read_listing,
    trusted_parts,
)
from genepool.store._merkle import merkle_root
from genepool.store._parts import (
    CORE_COLUMNS,
    PASSING,
    PartWriter,
    check_part,
    part_key,
    part_names,
    take_parts,
)
from genepool.store._repair import mend_mark, repair
from genepool.store._reviewqueue import SKETCH, Asked, Carried, Draw, ReviewRecord, Vote, same_set
from genepool.store._verdicts import Verdicts, check_verdict
from genepool.store._workspace import Workspace, find_workspace, publish_opened, workspace_for

__all__ = [
    "CORE_COLUMNS",
    "NOTHING",
    "PASSING",
    "SKETCH",
    "Asked",
    "Carried",
    "Catalogue",
    "Changes",
    "Compaction",
    "Draw",
    "Finding",
    "Health",
    "Journal",
    "Listing",
    "ListingWriter",
    "PartIndex",
    "PartWriter",
    "Recording",
    "ReviewRecord",
    "Run",
    "ScanStats",
    "Verdicts",
    "Vote",
    "Workspace",
    "check_part",
    "check_verdict",
    "collect",
    "compact",
    "compare",
    "dataset_folder",
    "find_workspace",
    "inspect",
    "is_sound",
    "item_mark",
    "log_url",
    "mend_mark",
    "merkle_root",
    "part_key",
    "part_names",
    "publish_opened",
    "put_in_force",
    "read_listing",
    "repair",
    "same_set",
    "small_parts",
    "sweep",
    "take_parts",
    "trusted_parts",
    "unused",
    "workspace_for",
    "write_atomic",
]
