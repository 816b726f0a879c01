"""`measure`: from folders, arrays or vectors to a report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genepool.degradation._forecast import Forecaster
from genepool.degradation._measures import Bench, Generation
from genepool.degradation._report import MEASURES, DegradationReport
from genepool.degradation._sets import FEWEST, Reader, SampleSet
from genepool.degradation._space import FEWEST_REFERENCE, Space
from genepool.degradation._trend import Trend, alarm_of, trend_of
from genepool.errors import MeasureError, UsageError
from genepool.records import Estimate

if TYPE_CHECKING:
    from genepool.config import Config
    from genepool.records import Embedder

__all__ = ["measure"]

_AHEAD = 12


def measure(
    generations: Sequence[Any],
    reference: Any = None,
    *,
    names: Sequence[str] | None = None,
    human: Sequence[float] | None = None,
    n: int = 1000,
    embed: Callable[[Any], Any] | None = None,
    alpha: float = 0.05,
    seed: int = 0,
    keep: float = 0.9,
    floor: float = 0.6,
    votes: bool = True,
    ladder: str | Path | None = None,
    config: Config | None = None,
    progress: Callable[[int, int, int, float], None] | None = None,
) -> DegradationReport:
    """What each generation of a model has lost, against human work and against the first.

    Args:
        generations: Samples of successive versions, oldest first: each a `Dataset` or what names one (folder,
            tar shards, Parquet …), pictures ``(n, h, w, 3)`` or a list of PIL images, or style vectors
            ``(n, d)`` of floats (then nothing is said about pixels). At least 40 pictures each.
        reference: Human pictures, at least 60, in the same forms; they should be none that the first
            generation was trained on where you want to see memorising. None: half of the first generation
            serves.
        names: Of the generations; None: folder names, or ``generation 1`` ….
        human: Fresh human share of each generation's training set, in [0, 1]; with it a forecast is fitted.
        n: Pictures drawn at random from each set, at most.
        embed: ``(k, h, w, 3)`` uint8 → ``(k, d)`` vectors; None: the configured embedder.
        alpha: 1 − confidence of every interval.
        seed: Of draws, grouping and bootstraps.
        keep: Share of generation 1's value below which the alarm goes off.
        floor: Retention (share of generation 1's) that must be kept: the alarm's lead is counted to its
            crossing.
        votes: Look for people's votes in the workspaces of the sets.
        ladder: Folder of the ladder that was voted against; None: the packaged one.
        config: Settings; None: ``genepool.toml`` of the current folder, else the defaults.
        progress: Called as ``progress(done, total, set_aside, images_per_second)``.

    Raises:
        UsageError: No generation, names or shares of another length, a number out of range.
        SourceError: A set cannot be read or holds no image.
        MeasureError: Too few pictures (the message says how many are needed), vectors mixed with pictures.
    """
    _check(generations, names, human, n=n, alpha=alpha, keep=keep, floor=floor)
    called = list(names) if names is not None else _names(generations)
    reader = _reader(
        config, n=n if reference is not None else 2 * n, seed=seed, embed=embed, progress=progress
    )
    extra = [] if reference is None else [reference]
    sets = reader.read([*generations, *extra], [*called, *(["the reference"] if extra else [])])
    notes: list[str] = []
    if reference is None:
        base, sets = _own(sets, n, seed)
        notes.append(f"no reference was given: one half of {called[0]} stands for human work")
    else:
        base = sets.pop()
    space = Space.of(base, seed)
    size = min(space.held_out.n, *(one.n for one in sets))
    bench = Bench(space, sets[0], size, alpha, seed)
    shares: Sequence[float | None] = [None] * len(sets) if human is None else list(human)
    rows = [bench.measure(one, h, first=i == 0) for i, (one, h) in enumerate(zip(sets, shares, strict=True))]
    baseline = bench.measure(space.held_out, None)
    baseline.measures.pop("retention_first", None)
    baseline.missing.pop("retention_first", None)
    if votes:
        from genepool.degradation._people import add_preference

        notes += add_preference(rows, sets, alpha=alpha, ladder=ladder)
    forecast = {} if human is None else _forecasts(rows, human, bench.errors, alpha, seed)
    notes += _notes(reader, sets, base, len(rows))
    return DegradationReport(
        tuple(rows),
        baseline,
        {"name": base.name, "n": base.n, "found": base.found, "aside": base.aside, "own": reference is None},
        _trends(rows, alpha),
        _alarm(rows, forecast, keep=keep, floor=floor, alpha=alpha),
        forecast,
        size,
        reader.side,
        reader.crop,
        tuple(notes),
        alpha,
    )


# ----------------------------------------------------------------------------------------- private


def _check(
    generations: Sequence[Any], names: Any, human: Any, *, n: int, alpha: float, keep: float, floor: float
) -> None:
    if isinstance(generations, (str, Path)) or not len(generations):
        raise UsageError(
            "degradation: expected a sequence of at least one generation",
            hint="genepool degradation GEN1 GEN2 …",
        )
    for what, given in (("names", names), ("human shares", human)):
        if given is not None and len(given) != len(generations):
            raise UsageError(
                f"degradation: expected {what} for {len(generations)} generations, found {len(given)}"
            )
    if human is not None and not all(0.0 <= h <= 1.0 for h in human):
        raise UsageError(f"degradation: expected human shares in [0, 1], found {list(human)}")
    if n < FEWEST or not 0 < alpha < 1 or not 0 < keep < 1 or not 0 < floor < 1:
        raise UsageError(
            f"degradation: expected n ≥ {FEWEST} and alpha, keep and floor in (0, 1), found {n}, {alpha}, "
            f"{keep} and {floor}"
        )


def _names(generations: Sequence[Any]) -> list[str]:
    found = []
    for number, one in enumerate(generations, 1):
        uri = getattr(one, "uri", one)
        name = Path(str(uri)).name if isinstance(uri, (str, Path)) and "memory:" not in str(uri) else ""
        found.append(name or f"generation {number}")
    if len(set(found)) < len(found):  # v1/samples, v2/samples …
        found = [f"generation {number}" for number in range(1, len(found) + 1)]
    return found


def _reader(config: Config | None, *, n: int, seed: int, embed: Any, progress: Any) -> Reader:
    from genepool import plugins
    from genepool.config import load

    settings = config or load()
    embedder: Embedder | None = None
    if embed is None:
        embedder = plugins.create("embedders", settings.diversity.embedder)
    return Reader(
        n=n,
        seed=seed,
        embed=embed,
        embedder=embedder,
        max_pixels=settings.scan.max_pixels,
        progress=progress,
    )


def _own(sets: list[SampleSet], n: int, seed: int) -> tuple[SampleSet, list[SampleSet]]:
    """One half of the first generation as the reference, the other as the first generation."""
    first = sets[0]
    half = first.n // 2
    if half < FEWEST_REFERENCE:
        raise MeasureError(
            f"degradation: {first.name}: expected at least {2 * FEWEST_REFERENCE} pictures, half of which "
            f"stand for human work, found {first.n}",
            hint="give human pictures: --reference HUMAN",
        )
    order = np.random.default_rng([seed, 7]).permutation(first.n)
    base = first.part(np.sort(order[half:]), f"half of {first.name}")
    others = [one.part(np.arange(min(one.n, n)), one.name) for one in sets[1:]]
    return base, [first.part(np.sort(order[:half]), first.name), *others]


def _trends(rows: Sequence[Generation], alpha: float) -> tuple[Trend, ...]:
    from genepool.stats import holm

    found = []
    for name in MEASURES:
        series = [one.measures.get(name) for one in rows]
        known = [x for x in series if x is not None]
        # Both retentions are one measurement in two units.
        if name == "retention" or len(known) < max(2, len(rows)):
            continue
        found.append(trend_of(name, known, alpha))
    if not found:
        return ()
    adjusted = holm([t.p_raw for t in found])
    return tuple(replace(t, p=float(p)) for t, p in zip(found, adjusted, strict=True))


def _forecasts(
    rows: Sequence[Generation], human: Sequence[float], own: Sequence[float], alpha: float, seed: int
) -> dict[str, Forecaster]:
    if len(rows) < 2 or all(h >= 1 for h in human[1:]):
        return {}
    found = {}
    for name in ("retention_first", "diversity", "preference"):
        series = [one.measures.get(name) for one in rows]
        if all(x is not None and float(x) > 0 for x in series):
            # What 100 % means has an error, too, but all generations share it: it is no scatter around the
            # fit.
            errors = own[: len(rows)] if name == "retention_first" else None
            found[name] = Forecaster.fit(series, human, errors=errors, measure=name, alpha=alpha, seed=seed)
    return found


def _alarm(
    rows: Sequence[Generation], forecast: dict[str, Forecaster], *, keep: float, floor: float, alpha: float
) -> Any:
    # Of the two retentions the one relative to generation 1: the reference's own error cancels in it.
    names = [m for m, about in MEASURES.items() if about.harm and m not in ("retention", "proxy")]
    series = {m: [one.measures.get(m) for one in rows] for m in names if rows[0].measures.get(m) is not None}
    whole = rows[0].measures.get("retention_first")
    if whole is not None:  # its error is in every later ratio already
        exact = Estimate(100.0, 100.0, 100.0, whole.n, whole.method, alpha)
        series["retention_first"] = [exact, *series["retention_first"][1:]]
    # Where the first generation shows nothing, nothing is left to lose.
    first = [one.measures.get("retention_first") for one in rows]
    kept = [1.0 if x is None else float(x) / 100.0 for x in first]
    predicted = None
    made = forecast.get("retention_first")
    if made is not None and rows[-1].human is not None:
        found = made.crossing([rows[-1].human] * _AHEAD, floor, float(rows[-1].measures["retention_first"]))
        predicted = None if found.generation is None else len(rows) + found.generation
    return alarm_of(
        series,
        {m: MEASURES[m].harm > 0 for m in names},
        keep=keep,
        floor=floor,
        alpha=alpha,
        retention=kept,
        forecast=predicted,
    )


def _notes(reader: Reader, sets: Sequence[SampleSet], base: SampleSet, rows: int) -> list[str]:
    found = [
        "intervals say which pictures were drawn, not how another training run would have turned out: "
        "repeat with other seeds for that"
    ]
    every = [*sets, base]
    sides = {one.sides for one in every}
    if any(low != high for _, low, high in sides) or len({one.sides[0] for one in every}) > 1:
        spans = ", ".join(f"{one.name} {one.sides[1]} to {one.sides[2]} px" for one in every)
        found.append(
            f"pictures of different sizes ({spans}): style was compared at a short side of {reader.side} px; "
            f"pixel artefacts in native crops of {reader.crop} px, where scale itself leaves a mark"
        )
    if 0 < reader.side < 64:
        found.append(
            f"at {reader.side} px little of a style is visible: compare generations with each other, not "
            "with numbers from larger pictures"
        )
    lost = [f"{one.name} {one.aside:,}" for one in every if one.aside]
    if lost:
        found.append(f"could not be read and do not count: {', '.join(lost)}")
    few = [f"{one.name} {one.n}" for one in every if one.n < 200]
    if few:
        found.append(f"small samples give wide intervals: {', '.join(few)}")
    return found
