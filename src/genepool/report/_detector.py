"""The section about the pixel judge: its scores on this set, and what they are worth."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from genepool.errors import GenepoolError
from genepool.report import _figures
from genepool.report._charts import Chart
from genepool.report._gallery import Gallery, Tile
from genepool.report._svg import inline
from genepool.report._text import count, interval, number, plural, printable, share

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from genepool.detection import Calibration
    from genepool.records import Decision
    from genepool.store import Catalogue

__all__ = ["Judged", "judged"]

REACH, STEP = 8.0, 0.5
"""Scores beyond ± `REACH` are drawn at the edge; width of a bin."""
HUMAN, AI, UNKNOWN = "human work, known without it", "AI, known without it", "origin not known without it"
BINS = (0.0, 0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98, 1.0)
FEW = 10
"""Below so many images of known origin of either kind no calibration curve is drawn."""
SUREST = 8


class Judged(NamedTuple):
    """What the section shows.

    Attributes:
        words: Sentences, most important first; each with whether it is a side remark.
        scores: Histogram by what is known of the images.
        reliability: Probability against truth, on images of known origin.
        roc: ROC curve on the labelled controls.
        known: Rows of the table of decisions on images of known origin.
        groups: Rows of the table of calibration groups.
        surest: The images that look most like AI.
    """

    words: tuple[tuple[str, bool], ...]
    scores: Chart | None = None
    reliability: Chart | None = None
    roc: Chart | None = None
    known: tuple[tuple[str, ...], ...] = ()
    groups: tuple[tuple[str, ...], ...] = ()
    surest: Gallery | None = None


class _Scores(NamedTuple):
    """Per image with a score: its row, calibrated log odds, truth as known without the judge, decision."""

    rows: NDArray[np.int64]
    z: NDArray[np.float64]
    human: NDArray[np.bool_]
    ai: NDArray[np.bool_]
    verdict: NDArray[np.int8]
    images: int


def judged(decision: Decision, catalogue: Catalogue | None, origins: Any) -> Judged | None:
    """What the judge said of this set; None where none looked."""
    facts = decision.extra.get("detector")
    told = facts if isinstance(facts, Mapping) else {}
    name = printable(told.get("name") or "", 200)
    decided = int(told.get("decided") or 0)
    held, scored = _read(decision, catalogue, origins, decided)
    if scored is None and not decided:
        return Judged(_words(told, name)) if name and name != "none" else None
    rows: dict[str, Any] = {"words": _words(told, name)}
    if scored is not None and catalogue is not None:
        rows["scores"] = _histogram(scored, held)
        rows["surest"] = _surest(scored, held, catalogue)
        if held is not None:
            rows |= {"known": _known(scored), "reliability": _reliability(scored)}
    if held is not None:
        rows |= {"roc": _roc(held), "groups": _groups(held)}
    return Judged(**rows)


def _words(told: Mapping[str, Any], name: str) -> tuple[tuple[str, bool], ...]:
    model, _, digest = name.partition("@")
    named = f"{model}, model {digest[:12]}…" if digest else model or "a detector without a name"
    decided, abstained = int(told.get("decided") or 0), int(told.get("abstained") or 0)
    out = [(f"{named}: {count(decided)} decided, {count(abstained)} abstained.", False)]
    if told.get("note"):
        out.append((f"Why it abstained most often: {printable(told['note'], 300)}.", True))
    held = told.get("calibration")
    if isinstance(held, Mapping):
        with contextlib.suppress(KeyError, TypeError, ValueError):  # of another version
            out.append((_calibrated(held), True))
    elif decided == 0 and name:
        out.append(("It is not calibrated: its scores are shown and have no vote.", True))
    if told.get("failed"):
        failed = plural(int(told["failed"]), "image")
        out.append((f"It failed on {failed}: {printable(told.get('failure', ''), 300)}", False))
    return tuple(out)


def _calibrated(held: Mapping[str, Any]) -> str:
    return (
        f"Calibrated on {count(int(held['controls']))} labelled controls: at {float(held['confidence']):.0%} "
        f"confidence at least {float(held['accuracy']):.0%} of its decisions are right in each of "
        f"{int(held['groups'])} groups of controls. A decision moves an image's log odds of AI by "
        f"{float(held['llr_ai']):+.2f} or {float(held['llr_human']):+.2f}, at most what a person's two "
        "looks are worth."
    )


def _read(
    decision: Decision, catalogue: Catalogue | None, origins: Any, decided: int
) -> tuple[Calibration | None, _Scores | None]:
    """The scores of the scan and the calibration that holds for them."""
    if catalogue is None or catalogue.n == 0:
        return None, None
    try:
        scores = catalogue.table(["logit"])
    except GenepoolError:  # scanned without a detector
        return None, None
    if "logit" not in scores.column_names:
        return None, None
    logit = scores.column("logit").to_numpy().astype(np.float64)
    looked = np.isfinite(logit)
    if not (looked.any() or decided):
        return None, None  # whatever holds would be said of nothing
    table = catalogue.table(["detector", "abstained"])
    held = _calibration(decision, catalogue, table)
    if not looked.any():
        return held, None
    z = logit if held is None else logit / held.temperature + held.bias
    human, ai = _truth(origins, len(z))
    verdict = np.zeros(len(z), np.int8)
    if held is not None:
        import pyarrow.compute as pc

        said = pc.fill_null(table.column("abstained"), "")
        silent = np.asarray(pc.not_equal(said, "")).astype(np.bool_)
        verdict = np.where(z >= held.ai_above, 1, np.where(z <= held.human_below, -1, 0)).astype(np.int8)
        verdict[silent] = 0
    where = np.flatnonzero(looked)
    return held, _Scores(where, z[where], human[where], ai[where], verdict[where], len(z))


def _calibration(decision: Decision, catalogue: Catalogue, table: Any) -> Calibration | None:
    names = {str(name) for name in table.column("detector").unique().to_pylist() if name}
    if not any("@" in name for name in names):
        return None  # nothing without a digest is ever calibrated
    config = decision.extra.get("config")
    asked = config.get("detection") if isinstance(config, Mapping) else None
    threshold = asked.get("threshold") if isinstance(asked, Mapping) else None
    if len(names) != 1 or not isinstance(threshold, (int, float)):
        return None
    from genepool.detection import Judge

    try:
        return Judge(table, catalogue.workspace, float(threshold)).calibration(names.pop())
    except GenepoolError:  # a damaged calibration: the check said so already
        return None


def _truth(origins: Any, n: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which images are known to be human or AI by something other than the judge."""
    nothing = np.zeros(n, np.bool_)
    if origins is None or origins.num_rows != n or not {"human", "ai", "tier"} <= set(origins.column_names):
        return nothing, nothing
    import pyarrow as pa
    import pyarrow.compute as pc

    human, ai = (np.asarray(origins[name]).astype(np.bool_) for name in ("human", "ai"))
    surer = pa.array(["proven", "attested", "declared", "recovered"])
    other = np.asarray(pc.is_in(origins["tier"], surer)).astype(np.bool_)
    return human & other, ai & other


def _histogram(scored: _Scores, held: Calibration | None) -> Chart:
    edges = np.arange(-REACH, REACH + STEP / 2, STEP)
    inside = np.clip(scored.z, -REACH, REACH - STEP / 2)
    groups = {HUMAN: scored.human, AI: scored.ai, UNKNOWN: ~(scored.human | scored.ai)}
    counts = {name: np.histogram(inside[mask], edges)[0] for name, mask in groups.items()}
    limits = None if held is None else (held.human_below, held.ai_above)
    parts = [
        f"{name}: {plural(int(mask.sum()), 'image')}"
        + (f", median {number(float(np.median(scored.z[mask])))}" if mask.any() else "")
        for name, mask in groups.items()
    ]
    what = "Log odds of AI after calibration" if held is not None else "Raw scores of the detector"
    missing = scored.images - len(scored.z)
    no_number = f" {plural(missing, 'image')} without a score." if missing else ""
    kept = np.flatnonzero(sum(counts.values()))
    where = (
        f"; decided in the grey fields, below {number(limits[0])} and above {number(limits[1])}"
        if limits
        else ""
    )
    return Chart(
        inline(_figures.scores(edges, counts, limits), "scores", f"{what}. {'; '.join(parts)}."),
        f"{what} of {plural(len(scored.z), 'image')}, by what is known of them without the detector{where}. "
        f"Scores beyond ±{REACH:.0f} stand at the edge.{no_number}",
        ("score", *groups),
        tuple(
            (
                f"{edges[i]:+.1f} to {edges[i + 1]:+.1f}",
                *(count(int(values[i])) for values in counts.values()),
            )
            for i in kept
        ),
    )


def _known(scored: _Scores) -> tuple[tuple[str, ...], ...]:
    """How many decisions on images of known origin are right; exact intervals (Clopper and Pearson 1934)."""
    from genepool.stats import clopper_pearson

    rows: list[tuple[str, ...]] = []
    if not (scored.human.any() or scored.ai.any()):
        return ()
    for title, truth, right in (("human work", scored.human, -1), ("AI", scored.ai, 1)):
        decided = truth & (scored.verdict != 0)
        k, n = int((scored.verdict[decided] == right).sum()), int(decided.sum())
        rows.append(
            (
                title,
                count(int(truth.sum())),
                f"{count(n)} ({share(n, int(truth.sum()))})",
                count(k),
                f"{number(k / n)} {interval(*clopper_pearson(k, n))}" if n else "–",
            )
        )
    return tuple(rows)


def _reliability(scored: _Scores) -> Chart | None:
    """What p(AI) is worth on the images of this set whose origin is known without the judge."""
    from genepool.stats import clopper_pearson

    if min(int(scored.human.sum()), int(scored.ai.sum())) < FEW:
        return None
    known = scored.human | scored.ai
    p = 1.0 / (1.0 + np.exp(-np.clip(scored.z[known], -50, 50)))
    ai = scored.ai[known]
    at = np.clip(np.digitize(p, BINS[1:-1]), 0, len(BINS) - 2)
    points, rows = [], []
    for i in range(len(BINS) - 1):
        n, k = int((at == i).sum()), int(ai[at == i].sum())
        if not n:
            continue
        low, high = clopper_pearson(k, n)
        points.append((float(p[at == i].mean()), k / n, low, high))
        rows.append(
            (
                f"{BINS[i]:g} to {BINS[i + 1]:g}",
                number(points[-1][0]),
                f"{number(k / n)} {interval(low, high)}",
                count(n),
            )
        )
    alt = "Share of AI by probability: " + "; ".join(f"p {r[1]}: {r[2]} of {r[3]}" for r in rows) + "."
    return Chart(
        inline(_figures.reliability(points), "reliability", alt),
        f"On the {plural(int(known.sum()), 'image')} of this set whose origin is known without the detector. "
        "On the dotted line a probability means what it says; it depends on how much AI is among them.",
        ("p(AI)", "mean", "share that is AI", "images"),
        tuple(rows),
    )


def _roc(held: Calibration) -> Chart | None:
    try:
        points = [(float(x), float(y)) for x, y in held.measured["roc"]]
        auc = held.measured["auc"]
        area = f"{number(float(auc['value']))} {interval(float(auc['lower']), float(auc['upper']))}"
        people, machines = count(int(auc["n_human"])), count(int(auc["n_ai"]))
    except (KeyError, TypeError, ValueError):
        return None  # a calibration of the first format
    step = max(1, len(points) // 20)
    said = f"area under the curve {area}, {people} human and {machines} AI controls"
    return Chart(
        inline(_figures.curve(points), "roc", f"ROC curve on the controls: {said}."),
        f"On the labelled controls of the calibration: {said}.",
        ("human work called AI", "AI called AI"),
        tuple((number(x), number(y)) for x, y in points[::step]),
    )


def _groups(held: Calibration) -> tuple[tuple[str, ...], ...]:
    tested = held.measured.get("tested")
    rows = tested.get("groups") if isinstance(tested, Mapping) else None
    out = []
    for row in rows[:40] if isinstance(rows, (list, tuple)) else ():
        try:
            out.append(
                (
                    printable(row["group"], 240),
                    count(int(row["n"])),
                    number(int(row["decided"]) / int(row["n"]))
                    + " "
                    + interval(*(float(end) for end in row["coverage_interval"])),
                    count(int(row["wrong"])),
                    f"{number(float(row['accuracy']))}, at least {number(float(row['accuracy_lower']))}",
                )
            )
        except (KeyError, TypeError, ValueError, ZeroDivisionError):
            continue
    return tuple(out)


def _surest(scored: _Scores, held: Calibration | None, catalogue: Catalogue) -> Gallery | None:
    """The images that look most like AI, those first that nobody knows of."""
    order = np.argsort(-np.round(scored.z, 6), kind="stable")[:SUREST]
    tiles = []
    for i, uri in zip(order.tolist(), catalogue.uris_at(scored.rows[order].tolist()), strict=True):
        known = "known human work" if scored.human[i] else "known AI" if scored.ai[i] else "origin not known"
        odds = float(np.clip(scored.z[i], -50, 50))
        score = f"p(AI) {1 / (1 + np.exp(-odds)):.3f}" if held is not None else f"score {odds:.2f}"
        tiles.append(Tile(uri, f"{score}; {known}"))
    if not tiles:
        return None
    text = "Highest score first; what is known of each without the detector is said below it."
    return Gallery("surest", "Most like AI to the detector", text, tuple(tiles), len(scored.z))
