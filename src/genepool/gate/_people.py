"""What people said about a set, counted: verdicts, looks at each model's outputs, what felt uncanny."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

    from genepool.store import Workspace

__all__ = ["People", "people"]


@dataclass(frozen=True, slots=True)
class People:
    """Counts over one set.

    Attributes:
        verdicts: Images times reviewers, controls, repeats and quarantined reviewers left out.
        models: Model → its outputs in this set that somebody has judged, and all of them.
        uncanny: Per model and generation, images judged and the share of them that somebody flagged.
    """

    verdicts: int = 0
    models: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    uncanny: tuple[dict[str, Any], ...] = ()


def people(workspace: Workspace, origins: pa.Table) -> People:
    """Count what the workspace's verdicts say about a settled set.

    A verdict is counted once per image and reviewer, whatever the reviewer answered; files of equal bytes are
    one image here.

    Raises:
        WorkspaceError: The review file cannot be read.
    """
    digests = [d.hex() for d in origins.column("sha256").to_pylist()]
    columns = (origins.column(name).to_pylist() for name in ("model", "lo", "ai"))
    made = {d: (model, lo) for d, model, lo, ai in zip(digests, *columns, strict=True) if ai and model}
    outputs = Counter(model for model, _ in made.values())
    if not workspace.reviews.exists():
        return People(models={name: (0, n) for name, n in outputs.items()})
    from genepool.store import Verdicts

    mine, judged, flagged, looks = set(digests), set(), set(), set()
    for verdict in Verdicts(workspace).counted():
        if verdict.sha256 not in mine:
            continue
        if verdict.uncanny:
            flagged.add(verdict.sha256)
        if not verdict.control and not verdict.repeat:
            judged.add((verdict.sha256, verdict.reviewer))
        looks.add(verdict.sha256)
    # A model's outputs are known to be machine-made: people see them as controls, and that is a look as well.
    looked = looks | flagged
    seen = Counter(made[digest][0] for digest in looks if digest in made)
    groups: dict[tuple[str, int], list[str]] = defaultdict(list)
    for digest in looked:
        if digest in made:
            groups[made[digest]].append(digest)
    uncanny = tuple(
        _share(model, generation, found, flagged) for (model, generation), found in sorted(groups.items())
    )
    return People(len(judged), {name: (seen[name], n) for name, n in outputs.items()}, uncanny)


def _share(model: str, generation: int, looked: list[str], flagged: set[str]) -> dict[str, Any]:
    from genepool.stats import clopper_pearson

    k, n = sum(digest in flagged for digest in looked), len(looked)
    lower, upper = clopper_pearson(k, n)
    return {
        "model": model,
        "generation": generation,
        "judged": n,
        "uncanny": k,
        "share": k / n,
        "lower": lower,
        "upper": upper,
    }
