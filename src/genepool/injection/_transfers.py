"""Which pictures to make: common ones after artists who are rare, from parents whose origin the log knows."""

from __future__ import annotations

import hashlib
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from genepool.injection._convex import Pictures

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from genepool.config import Config
    from genepool.injection._planner import Planner
    from genepool.injection._pool import Pool
    from genepool.records import Attestation
    from genepool.store import Catalogue, Workspace

__all__ = ["Transfer", "choose_transfers"]

_STYLES = 3
_ARTISTS = 24


@dataclass(frozen=True, slots=True)
class Transfer:
    """A picture to be made.

    Attributes:
        name: File name without its suffix.
        content: ``(part, uri, sha256)`` of the picture whose subject is kept; part 0 is the set, 1 the
            reserve.
        styles: The same of the pictures whose manner is taken, one to three.
        artist: Whose manner: the artist's name, or ``style N`` of the panel where no artist is known.
        method: ``name@version`` of the plug-in.
        parameters: Of the plug-in, as text.
        seed: Of whatever it draws at random.
        generation: ``(lo, hi)``: one after the highest of its parents.
        cohorts: Registered collections that the parents belong to.
        base: Registered model behind the method; empty: it has no weights.
    """

    name: str
    content: tuple[int, str, str]
    styles: tuple[tuple[int, str, str], ...]
    artist: str
    method: str
    parameters: tuple[tuple[str, str], ...]
    seed: int
    generation: tuple[int, int]
    cohorts: tuple[str, ...]
    base: str = ""

    @property
    def parents(self) -> tuple[str, ...]:
        """SHA-256 (hex) of all parents, each once, sorted."""
        return tuple(sorted({self.content[2], *(digest for _, _, digest in self.styles)}))

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {**asdict(self), "parameters": dict(self.parameters), "parents": list(self.parents)}


def choose_transfers(
    pool: Pool,
    planner: Planner,
    chosen: NDArray[np.intp],
    parts: list[tuple[Catalogue, Workspace]],
    config: Config,
    wanted: int,
    style: str,
    seed: int,
    reasons: list[str],
) -> tuple[Transfer, ...]:
    """Pair over-represented pictures with under-represented artists.

    Parents must be attested in a log with a generation that has an upper end, because the output's follows
    from theirs; styles are taken from verified human work only. Nothing is planned beyond what the human
    share allows.

    Args:
        pool: The set and the reserve.
        planner: Its quota.
        chosen: What the set consists of without the transfers.
        parts: Catalogues and their places.
        config: Policy.
        wanted: How many.
        style: Plug-in, ``name`` or ``name:argument``.
        seed: Which parents meet.
        reasons: Sentences are appended.
    """
    from genepool.injection._styles import load_style

    method = load_style(style)
    room = _room(planner, chosen)
    if room < wanted:
        reasons.append(
            f"transfer: {wanted:,} pictures asked for, the verified human share {planner.quota:.2f} leaves "
            f"room for {room:,}"
        )
    count = min(wanted, room)
    least = _base_generation(method, parts, config, reasons)
    if least is None:
        return ()
    claims = _attested(pool, parts, config)
    common, purity = _commonness(pool, chosen)
    groups = _artists(pool, claims, common, purity)
    contents = _contents(pool, chosen, claims, common, config)
    for what, found in (("under-represented artist or style", groups), ("picture to work on", contents)):
        if not found:
            reasons.append(
                f"transfer: no {what} among images that a log attests; genepool register human FOLDER enters "
                "them"
            )
    if not count or not groups or not contents:
        return ()
    rng = np.random.default_rng(seed)
    made = []
    for k in range(count):
        artist, rows = groups[k % min(len(groups), _ARTISTS)]
        content = contents[k % len(contents)]
        pick = rows if len(rows) <= _STYLES else np.sort(rng.choice(rows, _STYLES, replace=False))
        others = [int(row) for row in pick if row != content]
        if others:
            made.append(_transfer(pool, claims, method, artist, content, others, seed + k, least))
    return tuple(made)


def _base_generation(
    method: Any, parts: list[tuple[Catalogue, Workspace]], config: Config, reasons: list[str]
) -> tuple[int, int] | None:
    """Least generation of what the method makes; None: not known, or above what the policy allows."""
    from genepool.provenance import open_trail

    if not method.base:
        return 1, 1
    known = open_trail(parts[0][1], config, dataset=parts[0][0].dataset).models.get(method.base)
    if known is None or known.generation[1] is None or known.generation[0] > config.generation.max:
        reasons.append(
            f"transfer: {method.name}: expected weights of a registered model of a known generation of at "
            f"most {config.generation.max}, found {method.base!r}; genepool register model NAME --trained-on "
            "COHORT, then --style onnx:FILE#NAME"
        )
        return None
    return known.generation[0], known.generation[1]


def _room(planner: Planner, chosen: NDArray[np.intp]) -> int:
    """How many machine-made images more the human share bears."""
    left = -float(planner.claim[chosen].sum())
    return max(0, math.floor(left / planner.quota + 1e-9)) if planner.quota > 0 else len(chosen)


def _commonness(pool: Pool, chosen: NDArray[np.intp]) -> tuple[NDArray[np.float64], float]:
    """Mean similarity of each image to the chosen set, and that set's purity."""
    own = pool.keepers(chosen)
    moment = Pictures(pool.panel, pool.whitened[own], pool.on[own]).moment(np.full(len(own), 1.0 / len(own)))
    common = Pictures(pool.panel, pool.whitened, pool.on).commonness(moment)
    return common, float(np.einsum("ij,ij->", moment, moment))


def _attested(
    pool: Pool, parts: list[tuple[Catalogue, Workspace]], config: Config
) -> dict[int, tuple[Attestation, tuple[int, int]]]:
    """Row → a trusted claim in a log and the generation it gives, for images that may be parents."""
    from genepool.provenance import open_trail

    found: dict[int, tuple[Attestation, tuple[int, int]]] = {}
    at = 0
    for catalogue, place in parts:
        rows = np.arange(at, at + catalogue.n)
        at += catalogue.n
        rows = rows[pool.free[rows] & pool.on[rows] & (pool.hi[rows] >= 0)]
        trail = open_trail(place, config, dataset=catalogue.dataset)
        for row, claims in zip(
            rows.tolist(),
            trail.attestations([bytes.fromhex(pool.digests[row]) for row in rows], []),
            strict=True,
        ):
            same = [c for c in claims if c.trusted and c.matched_by == "sha256" and c.cohort and c.generation]
            ends = [c.generation[1] for c in same if c.generation is not None]
            if same and None not in ends:
                lo = int(pool.lo[row])
                found[row] = same[0], (lo, max(int(pool.hi[row]), *(int(end or 0) for end in ends)))
    return found


def _artists(
    pool: Pool,
    claims: dict[int, tuple[Attestation, tuple[int, int]]],
    common: NDArray[np.float64],
    purity: float,
) -> list[tuple[str, NDArray[np.intp]]]:
    """Artists (or styles of the panel) with verified human work that is rare in the set, rarest first."""
    rows = np.array([row for row in claims if pool.human[row]], np.intp)
    if not len(rows):
        return []
    names = np.array([pool.artist[row] for row in rows], object)
    if not any(names):
        names = np.array([f"style {k}" for k in pool.panel.nearest(pool.whitened[rows])[0]], object)
    groups = []
    for name in sorted({name for name in names if name}):
        mine = rows[names == name]
        mean = float(common[mine].mean())
        if mean < purity:
            groups.append((mean, str(name), mine))
    return [(name, mine) for _, name, mine in sorted(groups, key=lambda g: (g[0], g[1]))]


def _contents(
    pool: Pool,
    chosen: NDArray[np.intp],
    claims: dict[int, tuple[Attestation, tuple[int, int]]],
    common: NDArray[np.float64],
    config: Config,
) -> list[int]:
    """Pictures of the set to work on, the commonest first, whose child is not of too high a generation."""
    rows = [
        int(row)
        for row in pool.keepers(chosen)
        if row in claims and claims[row][1][1] < config.generation.max
    ]
    return sorted(rows, key=lambda row: (not pool.human[row], -common[row], pool.digests[row]))


def _transfer(
    pool: Pool,
    claims: dict[int, tuple[Attestation, tuple[int, int]]],
    method: Any,
    artist: str,
    content: int,
    styles: list[int],
    seed: int,
    least: tuple[int, int],
) -> Transfer:
    def where(row: int) -> tuple[int, str, str]:
        return int(pool.reserve[row]), pool.uris[row], pool.digests[row]

    family = [content, *styles]
    ends = [claims[row][1] for row in family]
    parameters = tuple(sorted((key, str(value)) for key, value in method.parameters.items()))
    spelled = f"{method.name}@{method.version} {parameters} {seed} " + " ".join(
        pool.digests[row] for row in family
    )
    return Transfer(
        name=f"{method.name.partition(':')[0]}-{hashlib.sha256(spelled.encode()).hexdigest()[:16]}",
        content=where(content),
        styles=tuple(where(row) for row in styles),
        artist=artist,
        method=f"{method.name}@{method.version}",
        parameters=parameters,
        seed=seed,
        generation=(max(least[0], *(1 + lo for lo, _ in ends)), max(least[1], *(1 + hi for _, hi in ends))),
        cohorts=tuple(sorted({claims[row][0].cohort for row in family})),
        base=method.base,
    )
