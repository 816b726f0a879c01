"""A reviewer's qualification goes along from set to set, as it stands in the other log."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from genepool.store import Carried, ReviewRecord

if TYPE_CHECKING:
    from genepool.config import Config
    from genepool.store import Workspace

__all__ = ["carry_qualification"]


def carry_qualification(
    workspace: Workspace, other: Workspace, config: Config | None = None
) -> dict[str, int]:
    """Take over what reviewers said to controls in another workspace.

    The other log is audited, and only answers that stand in it are taken: the last blind answer to the first
        question
    about each control. Whoever has judged a control here already brings nothing along any more, so nobody can
    choose the better of two measurements.

    Args:
        workspace: Where the review goes on.
        other: Where the reviewers were measured.
        config: Not used yet by the audit; kept for keys.

    Returns:
        Reviewer → answers that are new here.

    Raises:
        IntegrityError: The other log does not verify.
        WorkspaceError: One of the review files cannot be read or written.
    """
    from genepool import provenance

    del config
    there = provenance.find_verdicts(other)
    if not there:
        return {}
    name = provenance.Ledger.open(other.ledger).origin
    with ReviewRecord(other) as record:
        truths, given = record.controls(), record.all()
    with ReviewRecord(workspace) as record:
        begun = {v.reviewer for v in record.all() if v.control}
        known = record.controls()
        first: dict[tuple[str, str], tuple[str, Carried]] = {}
        for v in given:
            if not v.control or v.repeat or v.changed or not v.token or v.sha256 not in truths:
                continue
            if v.reviewer in begun or provenance.verdict_digest(v) not in there:
                continue
            truth = truths[v.sha256]
            if known.get(v.sha256, truth) != truth:
                continue
            key = (v.reviewer, v.sha256)
            if key not in first or first[key][0] == v.token:
                carried = Carried(v.reviewer, v.sha256, truth, v.answer, v.at, name)
                first[key] = (v.token, carried)
        held = {(c.reviewer, c.sha256) for c in record.carried()}
        fresh = [carried for key, (_, carried) in first.items() if key not in held]
        if fresh:
            record.carry(fresh)
    return dict(Counter(c.reviewer for c in fresh))
