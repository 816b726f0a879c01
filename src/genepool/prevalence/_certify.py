"""From what people answered to the certified share: verified images counted, the rest audited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genepool.errors import MeasureError
from genepool.prevalence._audit import ASSUMPTIONS, ERRING, METHOD, AuditResult, Sequential, filled
from genepool.prevalence._auditor import Population
from genepool.prevalence._plan import Plan, plan
from genepool.prevalence._planning import Planning, planning
from genepool.prevalence._ratio import human_ratio
from genepool.prevalence._reviewers import CONTROLS, Reviewer
from genepool.prevalence._sample import Look, Sample, sample_of
from genepool.prevalence._scores import detector_scores
from genepool.prevalence._spending import alpha_share
from genepool.records import Estimate, RatioEstimate

if TYPE_CHECKING:
    import pyarrow as pa

    from genepool.store import Catalogue, Workspace

__all__ = ["Certificate", "ReviewedSet", "certified_ratio", "certify"]

_KNOWN = 30


@dataclass(frozen=True, slots=True)
class Certificate:
    """The certified share of a set and how it came about.

    Attributes:
        ratio: The guaranteed share: verified images counted, the rest audited.
        n_labels: Images whose answers are inside.
        result: The audit; None: nothing could be audited.
        reviewers: Whose answers are inside.
        refused: Reviewers whose answers are not, and why.
        waiting: Images judged only by those, and images on which a third opinion is missing.
        plan: What it probably takes to decide; None: it is decided.
        note: Why there is no audit; empty where there is one.
        attempt: How many draws of this set were made, this one included.
        spent: What this draw may spend of alpha; see `alpha_share`.
        detector: Whose scores were the control variate, or why nobody's.
        power: Share of the variance that these scores took away.
        capital: Natural log of the capital won so far against "below the floor".
        triage: An estimate from answers and scores, for triage only; None: too few of either.
    """

    ratio: RatioEstimate
    n_labels: int = 0
    result: AuditResult | None = None
    reviewers: tuple[Reviewer, ...] = ()
    refused: Mapping[str, str] | None = None
    waiting: int = 0
    plan: Plan | None = None
    note: str = ""
    attempt: int = 1
    spent: float = 0.0
    detector: str = ""
    power: float = 0.0
    capital: float = 0.0
    triage: Estimate | None = None

    def to_json(self) -> dict[str, Any]:
        """For the decision: counts, reviewers with their intervals, the plan."""
        return {
            "draw": self.attempt,
            "alpha_spent": self.spent,
            "detector": self.detector,
            "detector_power": self.power,
            "triage": None if self.triage is None else self.triage.to_json(),
            "status": self.result.status if self.result else None,
            "labels": self.n_labels,
            "waiting": self.waiting,
            "note": self.note,
            "reviewers": [
                {
                    "reviewer": r.name,
                    "human_recall": list(r.human_recall()),
                    "ai_recall": list(r.ai_recall()),
                    "controls": [r.human_shown, r.ai_shown],
                    "youden": r.youden(),
                }
                for r in self.reviewers
            ],
            "refused": dict(self.refused or {}),
            "plan": None if self.plan is None else self.plan.sentence(),
            "needs": []
            if self.plan is None
            else [{"share": share, "labels": labels} for share, labels in self.plan.labels],
        }


def certify(
    sample: Sample,
    human: NDArray[np.bool_],
    ai: NDArray[np.bool_],
    *,
    scores: NDArray[np.float64] | None = None,
    keep: NDArray[np.bool_] | None = None,
    floor: float = 0.70,
    alpha: float = 0.05,
    detector: str = "",
) -> Certificate:
    """The certified share, from plain data.

    An image's answer is the only one given, or the one that two reviewers gave; otherwise it counts against
    either claim. Where reviewers contradict each other and a third one could be asked, the sample ends there
    until that is done. Images judged only by reviewers who may not certify count as not drawn.

    Args:
        sample: The answers, in the random order.
        human: ``(n,)`` verified human.
        ai: ``(n,)`` verified machine-made, or computed.
        scores: ``(n,)`` p(human) by pixels alone, NaN where unknown; must not depend on the answers.
        keep: ``(n,)`` which images the share is about (a slice, or what the policy leaves); None: all.
        floor: Share to be proven.
        alpha: 1 − confidence of all draws of this set together; this one may spend `alpha_share` of it.
        detector: Whose scores these are, or why there are none.

    Raises:
        MeasureError: Arrays that do not fit.
    """
    mask = np.ones(len(human), np.bool_) if keep is None else keep
    values = np.full(len(human), np.nan) if scores is None else np.array(scores, np.float64)
    if not values.shape == human.shape == mask.shape:
        raise MeasureError(f"certificate: expected {len(human)} scores, found shape {values.shape}")
    exact = human_ratio(human[mask], ai[mask], alpha=alpha)
    unknown = mask & ~human & ~ai
    looks = [look for look in sample.looks if unknown[look.row]]
    people, refused = _people(sample, looks)
    chosen, waiting = _chosen(looks, people)
    spent = alpha * alpha_share(sample.attempt)
    base = Certificate(
        exact, refused=refused, waiting=waiting, attempt=sample.attempt, spent=spent, detector=detector
    )
    if exact.n == 0 or exact.lower >= floor or exact.upper < floor or not 0 < floor < 1:
        return replace(base, note="decided by verified images alone")
    judged = sum(bool(unknown[row]) for row in sample.judged)
    population = Population(exact.n, int(human[mask].sum()), int(ai[mask].sum()), judged, sample.before)
    if not chosen:
        known = [r for r in sample.reviewers.values() if not r.refusal()]
        why = sample.note or ("nobody who may certify by sight has judged" if looks else "no answers yet")
        controls = 0 if known else 2 * CONTROLS
        found = plan(population, floor, spent, reviewers=known, seconds=sample.seconds, controls=controls)
        return replace(base, plan=found, note=why)
    triage = _triage(chosen, values, unknown, human[mask], alpha)
    values[unknown] = filled(values[unknown])
    running = Sequential(
        values[unknown],
        population,
        floor=floor,
        alpha=spent,
        reviewers=people,
        together=any(lookers > 1 for _, _, lookers in chosen),
    )
    for row, answer, _ in chosen:
        running.see(float(values[row]), answer)
    return _certificate(replace(base, triage=triage), running, population, sample.seconds, alpha)


def _triage(
    chosen: Sequence[tuple[int, bool | None, int]],
    values: NDArray[np.float64],
    unknown: NDArray[np.bool_],
    verified: NDArray[np.bool_],
    alpha: float,
) -> Estimate | None:
    """PPI++ over the unverified images, with the verified ones counted; None where there is too little."""
    from genepool.stats import ppi_mean

    told = [(row, answer) for row, answer, _ in chosen if answer is not None and np.isfinite(values[row])]
    rows = {row for row, _ in told}
    rest = [i for i in np.flatnonzero(unknown).tolist() if i not in rows and np.isfinite(values[i])]
    if len(told) < _KNOWN or len(rest) < _KNOWN:
        return None
    labels = np.array([answer for _, answer in told], np.float64)
    found = ppi_mean(labels, values[[row for row, _ in told]], values[rest], alpha)
    units, n, known = int(unknown.sum()), len(verified), int(verified.sum())
    value, lower, upper = (
        min(1.0, max(0.0, (known + units * x) / n)) for x in (found.value, found.lower, found.upper)
    )
    method = f"{found.method}; takes the answers as right"
    return Estimate(value, lower, upper, found.n, method, alpha)


def _people(sample: Sample, looks: Sequence[Look]) -> tuple[tuple[Reviewer, ...], dict[str, str]]:
    """Whose answers count, and why those of the others do not."""
    names = dict.fromkeys(name for look in looks for name in look.answers)
    refused = {}
    for name in names:
        known = sample.reviewers.get(name)
        why = f"no controls judged, a qualification needs {CONTROLS} of each kind"
        if known is None or (why := known.refusal()):
            refused[name] = why
    used = [sample.reviewers[name] for name in names if name not in refused]
    # Bounds must hold for everybody who might have qualified, not only for those who did.
    crowd = sum(min(r.human_shown, r.ai_shown) >= CONTROLS for r in sample.reviewers.values())
    return tuple(replace(r, share=r.share * len(used) / max(crowd, len(used))) for r in used), refused


def _chosen(
    looks: Sequence[Look], people: Sequence[Reviewer]
) -> tuple[list[tuple[int, bool | None, int]], int]:
    """(row, answer, lookers) for the images that count, and how many are waiting."""
    found: list[tuple[int, bool | None, int]] = []
    waiting, names = 0, {r.name for r in people}
    for look in looks:
        answers = [answer for name, answer in look.answers.items() if name in names]
        if not answers:
            waiting += 1
            continue
        counts = answers.count("human"), answers.count("ai")
        if len(answers) == 1:
            answer = None if answers[0] == "unsure" else answers[0] == "human"
        elif max(counts) >= 2 and counts[0] != counts[1]:
            answer = counts[0] > counts[1]
        elif min(counts) >= 1 and len(answers) < 3 <= len(people):
            return found, waiting + 1
        else:
            answer = None
        found.append((look.row, answer, len(answers)))
    return found, waiting


def _certificate(
    base: Certificate, running: Sequential, population: Population, seconds: float, alpha: float
) -> Certificate:
    exact, result = base.ratio, running.result()
    ratio = RatioEstimate(
        max(exact.lower, result.lower),
        point=min(max(result.point, exact.lower), exact.upper),
        upper=min(exact.upper, result.upper),
        alpha=alpha,
        n=exact.n,
        n_audited=exact.n_audited + result.n_labels,
        method=f"verified images counted, the rest audited by people: {METHOD}",
        assumptions=(*exact.assumptions, *ASSUMPTIONS, ERRING, *_drawn(base), *_test(running.reviewers)),
    )
    found = None
    if result.status == "undecided":
        share = None
        if result.n_labels >= _KNOWN:
            rest = (result.point * population.n - population.human) / population.units
            share = min(1.0, max(0.0, rest))
        found = plan(
            population,
            running.floor,
            result.alpha,
            reviewers=running.reviewers,
            share=share,
            power=running.power(),
            done=running.progress()[0],
            seconds=seconds,
        )
    return replace(
        base,
        ratio=ratio,
        n_labels=result.n_labels,
        result=result,
        reviewers=running.reviewers,
        plan=found,
        power=running.power(),
        capital=running.progress()[0],
    )


def _drawn(base: Certificate) -> tuple[str, ...]:
    return (
        f"this is draw {base.attempt} of the set and spends {base.spent:.4g}: all draws of one set together "
        "err with probability at most alpha",
    )


def _test(people: Sequence[Reviewer]) -> tuple[str, ...]:
    named = sorted(r.name for r in people if r.name.startswith("test:"))
    return (f"TEST DATA, not people's judgement: {', '.join(named)}",) if named else ()


def certified_ratio(
    catalogue: Catalogue,
    origins: pa.Table,
    workspace: Workspace,
    *,
    keep: NDArray[np.bool_] | None = None,
    floor: float = 0.70,
    alpha: float = 0.05,
) -> Certificate:
    """The certified share of a scanned and settled set, with the verdicts of its workspace.

    Args:
        catalogue: As scanned; the detector's logits are read from it.
        origins: As settled, in the same order.
        workspace: Its verdicts are read.
        keep: Which images the share is about; None: all.
        floor: Share to be proven.
        alpha: 1 − confidence.

    Raises:
        CertificateError: The questions do not follow the recorded random order.
        WorkspaceError: Rows or verdicts cannot be read.
    """
    return ReviewedSet.of(catalogue, origins, workspace).certify(keep=keep, floor=floor, alpha=alpha)


@dataclass(frozen=True, slots=True)
class ReviewedSet:
    """A set's arrays and answers, read once and used for the whole and for each slice.

    Attributes:
        sample: The answers.
        human: ``(n,)`` verified human.
        ai: ``(n,)`` verified machine-made, or computed.
        scores: ``(n,)`` p(human) by pixels alone, NaN where unknown.
        detector: Whose scores these are, or why there are none.
    """

    sample: Sample
    human: NDArray[np.bool_]
    ai: NDArray[np.bool_]
    scores: NDArray[np.float64]
    detector: str = ""

    @classmethod
    def of(cls, catalogue: Catalogue, origins: pa.Table, workspace: Workspace) -> ReviewedSet:
        """Read them; see `certified_ratio`."""
        from genepool.store import ReviewRecord

        human = np.asarray(origins.column("human").to_numpy(zero_copy_only=False), np.bool_)
        ai = np.asarray(origins.column("ai").to_numpy(zero_copy_only=False), np.bool_)
        # Plots and fractals come from no model, but from no hand either: they never count as possibly human.
        ai = ai | (origins.column("origin").to_numpy(zero_copy_only=False) == "algorithmic")
        with ReviewRecord(workspace) as record:
            sample = Sample(note="nobody has been asked yet")
            if record.path.exists():
                sample = sample_of(record, origins.column("sha256").to_pylist(), ~human & ~ai)
        scores, word = np.full(len(human), np.nan), ""
        if sample.looks:
            scores, word = _scores(catalogue, workspace, sample, ~human & ~ai)
        return cls(sample, human, ai, scores, word)

    def certify(
        self, *, keep: NDArray[np.bool_] | None = None, floor: float = 0.70, alpha: float = 0.05
    ) -> Certificate:
        """The certified share of the whole, or of the images kept."""
        return certify(
            self.sample,
            self.human,
            self.ai,
            scores=self.scores,
            keep=keep,
            floor=floor,
            alpha=alpha,
            detector=self.detector,
        )

    def planning(self, *, floor: float = 0.70, alpha: float = 0.05) -> Planning:
        """How many more answers it takes, by how human the unverified images are."""
        people = [r for r in self.sample.reviewers.values() if not r.refusal()]
        population = Population(len(self.human), int(self.human.sum()), int(self.ai.sum()))
        so_far = self.certify(floor=floor, alpha=alpha)
        return planning(
            population,
            floor,
            so_far.spent,
            reviewers=people,
            seconds=self.sample.seconds,
            power=so_far.power,
            done=so_far.capital,
        )

    def ratio(self, keep: NDArray[np.bool_], *, floor: float, alpha: float) -> RatioEstimate:
        """The guaranteed share of the images kept: a count alone where nobody has answered."""
        if not self.sample.looks:
            return human_ratio(self.human[keep], self.ai[keep], alpha=alpha)
        return self.certify(keep=keep, floor=floor, alpha=alpha).ratio


def _scores(
    catalogue: Catalogue, workspace: Workspace, sample: Sample, unknown: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], str]:
    """p(human) by a calibrated detector, if the scores are those of the moment of the draw."""
    found = detector_scores(catalogue, workspace)
    if found.note:
        return found.values, found.note
    if found.digest(unknown) != sample.scores:
        what = "changed" if sample.scores else "came"
        note = f"the detector's scores {what} after the order was drawn: they are not used"
        return np.full(len(unknown), np.nan), note
    return found.values, found.detector
