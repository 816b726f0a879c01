"""Carrying a plan out: make, measure, register, write, in an order that leaves nothing half registered."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genepool.errors import CannotFinish, UsageError
from genepool.injection._convex import Pictures
from genepool.injection._make import Staging, detail_of, make_pictures
from genepool.injection._plan import InjectionPlan, objections
from genepool.injection._planner import Planner
from genepool.injection._pool import Pool, load, scanned
from genepool.injection._quality import Change, measure_quality

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from genepool.dataset import Dataset, Manifest
    from genepool.diversity import StyleEstimate
    from genepool.injection._plan import _Work
    from genepool.injection._transfers import Transfer
    from genepool.provenance import Registration
    from genepool.store import Catalogue, Workspace

__all__ = ["Injected", "write_injection"]

_log = logging.getLogger("genepool.injection")


@dataclass(frozen=True, slots=True, eq=False)
class Injected:
    """What was done.

    Attributes:
        written: Whether a new set was written.
        before, after: The index of the set as it was and as it is now, measured on what was made.
        human: Verified human share, lower bound of its interval, before and after.
        quality: Change of mean quality; None: not known.
        made: Pictures that were made and taken.
        refused: Name of each picture that was made and not taken, and why.
        registration: What the log says of the pictures; None: none was made.
        manifest: Of the new set; None: none was written.
        reasons: Sentences.
    """

    written: bool
    before: StyleEstimate
    after: StyleEstimate
    human: tuple[float, float]
    quality: Change | None
    made: tuple[str, ...]
    refused: dict[str, str]
    registration: Registration | None
    manifest: Manifest | None
    reasons: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data, ``genepool.injected/1``."""
        return {
            "schema": "genepool.injected/1",
            "written": self.written,
            "before": self.before.to_json(),
            "after": self.after.to_json(),
            "human_lower": {"before": self.human[0], "after": self.human[1]},
            "quality": None if self.quality is None else self.quality.to_json(),
            "made": list(self.made),
            "refused": self.refused,
            "registration": None if self.registration is None else self.registration.to_json(),
            "path": None if self.manifest is None else str(self.manifest.path),
            "n": 0 if self.manifest is None else self.manifest.n,
            "reasons": list(self.reasons),
        }


def write_injection(
    plan: InjectionPlan,
    out: str | Path,
    *,
    format: str = "folder",
    progress: Callable[[int, int], None] | None = None,
) -> Injected:
    """Carry a plan out and write the new set.

    Pictures are made in ``OUT.making``, looked at one by one, measured together with the rest, and refused as
    a batch where the index's lower bound does not rise, the human share does not hold or quality falls too
    far. Only then they are entered into the log, each with its parents, method, parameters, seed and
    generation, in one signed batch; only after that the new set appears, by one rename. Stopped at any
    moment, the same command goes on; the log never holds a part of a batch, and the set never a picture that
    the log does not know.

    Args:
        plan: As `plan_injection` made it.
        out: A folder that does not exist or is empty.
        format: As of `genepool.dataset.export`.
        progress: Called as ``progress(done, total)`` while pictures are made.

    Returns:
        What was done; ``written`` is False where the plan, or what was made, was not accepted.

    Raises:
        UsageError: ``out`` is not empty, or lies inside the dataset.
        CannotFinish: No room, no permission, or an image is no longer what it was.
        PluginError: The style failed.
        IntegrityError: A log does not verify.
    """
    work = plan._work
    if work is None:
        raise UsageError("injection: expected a plan as plan_injection made it, found one without its images")
    target = Path(out).absolute()
    if target.is_dir() and any(target.iterdir()):
        Staging.sweep(target)
        raise UsageError(
            f"{target}: expected a new or empty folder, found files in it", hint="choose another -o OUT"
        )
    if not plan.accepted:
        shares = _lower(work.pool, work.start, work), _lower(work.pool, work.start, work)
        return Injected(False, plan.before, plan.before, shares, None, (), {}, None, None, plan.reasons)
    if not plan.transfers:
        shares = _lower(work.pool, work.start, work), _lower(work.pool, work.chosen, work)
        manifest = _export(plan, work, work.pool, work.chosen, None, target, format)
        return Injected(
            True, plan.before, plan.after, shares, plan.quality, (), {}, None, manifest, plan.reasons
        )
    with work.parts[0][1].lock():
        return _with_pictures(plan, work, target, format, progress)


def _with_pictures(
    plan: InjectionPlan,
    work: _Work,
    target: Path,
    form: str,
    progress: Callable[[int, int], None] | None,
) -> Injected:
    staging = Staging(target, plan.digest)
    made, pool = _made(plan, work, staging, progress)
    fresh = np.arange(len(work.pool.uris), len(pool.uris), dtype=np.intp)
    taken, refused = admit(pool, work, fresh, {t.name: t for t in plan.transfers})
    chosen = np.sort(np.concatenate((work.chosen, taken))).astype(np.intp)
    after = pool.index(chosen)
    change = None if pool.quality is None else pool.quality.change(work.start, chosen)
    shares = _lower(pool, work.start, work), _lower(pool, chosen, work)
    wrong = _wrong(pool, work, taken, chosen, after, change, shares)
    verdict = (
        f"measured: {len(taken):,} of {len(fresh):,} pictures taken, index {plan.before.value:.2f} "
        f"[{plan.before.lower:.2f}, {plan.before.upper:.2f}] → {after.value:.2f} [{after.lower:.2f}, "
        f"{after.upper:.2f}], guaranteed human share {shares[0]:.2f} → {shares[1]:.2f}"
    )
    for reason in (*wrong, verdict):
        _log.info("%s: %s", plan.dataset.uri, reason)
    reasons = (*plan.reasons, *wrong, verdict)
    names = tuple(sorted(pool.uris[row].removesuffix(".png") for row in taken))
    if wrong:
        staging.discard()
        refused |= dict.fromkeys(names, "the batch was refused")
        return Injected(False, plan.before, after, shares, change, (), refused, None, None, reasons)
    registration = _register(plan, work, made, [pool.uris[row] for row in taken])
    manifest = _export(plan, work, pool, chosen, made.dataset, target, form)
    staging.discard()
    return Injected(True, plan.before, after, shares, change, names, refused, registration, manifest, reasons)


def _made(
    plan: InjectionPlan, work: _Work, staging: Staging, progress: Callable[[int, int], None] | None
) -> tuple[Catalogue, Pool]:
    """Make the pictures; their catalogue, and the pool with them behind the set and the reserve."""
    from genepool import dataset as datasets
    from genepool.injection._styles import load_style

    sources = [catalogue.dataset for catalogue, _ in work.parts]
    make_pictures(plan.transfers, sources, load_style(work.style), staging, progress)
    place = work.parts[0][1]
    made, _ = scanned(datasets.open(str(staging.path)), str(place.root), work.config)
    parts = [*work.parts, (made, place)]
    quality = None
    if work.pool.quality is not None and work.pool.quality.known:
        quality = measure_quality(parts)
    pool = load(parts, work.pool.panel, work.config, quality)
    fresh = slice(len(work.pool.uris), None)
    pool.ai[fresh], pool.human[fresh] = True, False  # whatever their files say
    return made, pool


def _wrong(
    pool: Pool,
    work: _Work,
    taken: NDArray[np.intp],
    chosen: NDArray[np.intp],
    after: StyleEstimate,
    change: Change | None,
    shares: tuple[float, float],
) -> list[str]:
    """Why the pictures are refused as a batch; empty: they are not."""
    if not len(taken):
        return ["refused: none of the pictures that were made is rare, on support and near its artist"]
    planner = Planner(pool, work.planner.floor, work.planner.quota, work.drop)
    # The pictures must raise the index by themselves, not only together with what else the plan does.
    without = pool.index(work.chosen)
    wrong = list(objections(planner, without, after, work.start, chosen, change, work.drop))
    if shares[1] < min(shares[0], work.planner.quota) - 1e-9:
        wrong.append(
            f"refused: the guaranteed human share would fall from {shares[0]:.3f} to {shares[1]:.3f}"
        )
    return wrong


def admit(
    pool: Pool, work: _Work, fresh: NDArray[np.intp], transfers: dict[str, Transfer]
) -> tuple[NDArray[np.intp], dict[str, str]]:
    """Which of the pictures made are taken, in turn, each against the set with those before it.

    A picture comes in if it lies on support, repeats nothing, is rarer than the set is alike (so that it
    raises the index, to first order), and lies nearer its artist's pictures than the picture it was made from
    does.

    Returns:
        Rows of the pool; name → why not.
    """
    rows = {digest: row for row, digest in reversed(list(enumerate(pool.digests[: len(work.pool.digests)])))}
    own = pool.keepers(work.chosen)
    moment = Pictures(pool.panel, pool.whitened[own], pool.on[own]).moment(np.ones(len(own)))
    weight = float(len(own))
    seen = set(pool.cluster[work.chosen].tolist())
    taken, refused = [], {}
    for row in fresh.tolist():
        name = pool.uris[row].removesuffix(".png")
        transfer = transfers[name]
        one = Pictures(pool.panel, pool.whitened[[row]], np.ones(1, bool))
        common = float(one.commonness(moment)[0]) / weight
        purity = float(np.einsum("ij,ij->", moment, moment)) / weight**2
        centre = pool.whitened[[rows[digest] for _, _, digest in transfer.styles]].mean(0)
        gap = float(np.linalg.norm(pool.whitened[row] - centre))
        source = float(np.linalg.norm(pool.whitened[rows[transfer.content[2]]] - centre))
        if not pool.on[row]:
            refused[name] = "off support: no human picture looks like it"
        elif pool.cluster[row] in seen:
            refused[name] = "it repeats an image"
        elif common >= purity:
            refused[name] = f"{common / purity:.2f} times as common as the set is alike"
        elif gap >= source:
            refused[name] = f"no nearer its artist than its source ({gap:.2f}, {source:.2f})"
        else:
            taken.append(row)
            seen.add(int(pool.cluster[row]))
            moment += one.moment(np.ones(1))
            weight += 1.0
    return np.array(taken, np.intp), refused


def _lower(pool: Pool, rows: NDArray[np.intp], work: _Work) -> float:
    """The guaranteed human share of some of the images."""
    from genepool.prevalence import human_ratio

    found = human_ratio(pool.human[rows], pool.ai[rows], alpha=work.config.policy.alpha)
    return float(found.lower)


def _register(plan: InjectionPlan, work: _Work, made: Catalogue, uris: list[str]) -> Registration:
    """Enter the pictures, after the log has learnt what they were made with."""
    from genepool import provenance

    place = work.parts[0][1]
    for _, other in work.parts[1:]:
        _link(place, other)
    transfers = {f"{t.name}.png": t for t in plan.transfers}
    first = plan.transfers[0]
    name = f"{first.method}-{plan.digest[:12]}"
    cohorts = sorted({cohort for uri in uris for cohort in transfers[uri].cohorts})
    provenance.register_model(
        place, name, [(cohort, None) for cohort in cohorts], first.base or None, work.config
    )
    return provenance.register_outputs(
        made.select(uris),
        place,
        model=name,
        cohort=name,
        config=work.config,
        details={uri: detail_of(transfers[uri]) for uri in uris},
    )


def _link(place: Workspace, other: Workspace) -> None:
    for log in other.linkable():
        if str(log) != str(place.ledger):
            place.link(log)


def _export(
    plan: InjectionPlan,
    work: _Work,
    pool: Pool,
    chosen: NDArray[np.intp],
    made: Dataset | None,
    target: Path,
    form: str,
) -> Manifest:
    """Write the chosen images of all parts byte for byte, and let the new set read their logs."""
    from genepool import dataset, store

    whole = [catalogue.dataset for catalogue, _ in work.parts] + ([made] if made is not None else [])
    sizes = [catalogue.n for catalogue, _ in work.parts]
    ends = np.cumsum([0, *sizes, len(pool.uris) - sum(sizes)])
    parts: list[Dataset] = []
    expected: dict[str, bytes] = {}
    for number, each in enumerate(whole):
        rows = chosen[(chosen >= ends[number]) & (chosen < ends[number + 1])]
        if not len(rows):
            continue
        for row in rows:
            expected[f"{len(parts)}/{pool.uris[row]}"] = bytes.fromhex(pool.digests[row])
        parts.append(each.select([pool.uris[row] for row in rows]))
    manifest = dataset.export(dataset.union(parts), expected, target, format=form, sha256=expected)
    if manifest.n != len(chosen):
        raise CannotFinish(
            f"{target}: expected {len(chosen):,} images, wrote {manifest.n:,}: the set has changed",
            hint=f"remove {target} and run the same command again",
        )
    fresh = store.workspace_for(dataset.open(str(target)))
    for _, place in work.parts:
        _link(fresh, place)
    return manifest
