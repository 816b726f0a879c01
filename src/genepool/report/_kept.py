"""What other commands kept in the workspace for the report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from genepool.errors import WorkspaceError

if TYPE_CHECKING:
    from genepool.store import Catalogue

__all__ = ["kept"]


def kept(catalogue: Catalogue | None, name: str) -> Any:
    """A JSON file of the workspace; None where it is missing or damaged, or there is no workspace."""
    workspace = getattr(catalogue, "workspace", None)
    if workspace is None:  # a catalogue in memory keeps nothing beside itself
        return None
    try:
        return workspace.read_json(name)
    except WorkspaceError:  # the page is about the decision
        return None
