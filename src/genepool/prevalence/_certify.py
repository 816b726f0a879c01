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
from genepool.prevalence._ratio import human_ratio
from genepool.prevalence._reviewers import CONTROLS, Reviewer
from genepool.prevalence._sample import Look, Sample, sample_of
from genepool.records import RatioEstimate

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
    """

    ratio: RatioEstimate
    n_labels: int = 0
    result: AuditResult | None = None
    reviewers: tuple[Reviewer, ...] = ()
    refused: Mapping[str, str] | None = None
    waiting: int = 0
    plan: Plan | None = None
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """For the decision: counts, reviewers with their intervals, the plan."""
        return {
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
        alpha: 1 − confidence.

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
    base = Certificate(exact, refused=refused, waiting=waiting)
    if exact.n == 0 or exact.lower >= floor or exact.upper < floor or not 0 < floor < 1:
        return replace(base, note="decided by verified images alone")
    judged = sum(bool(unknown[row]) for row in sample.judged)
    population = Population(exact.n, int(human[mask].sum()), int(ai[mask].sum()), judged, sample.before)
    if not chosen:
        known = [r for r in sample.reviewers.values() if not r.refusal()]
        why = sample.note or ("nobody who may certify by sight has judged" if looks else "no answers yet")
        controls = 0 if known else 2 * CONTROLS
        found = plan(population, floor, alpha, reviewers=known, seconds=sample.seconds, controls=controls)
        return replace(base, plan=found, note=why)
    values[unknown] = filled(values[unknown])
    running = Sequential(
        values[unknown],
        population,
        floor=floor,
        alpha=alpha,
        reviewers=people,
        together=any(lookers > 1 for _, _, lookers in chosen),
    )
    for row, answer, _ in chosen:
        running.see(float(values[row]), answer)
    return _certificate(base, running, population, sample.seconds)


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
    base: Certificate, running: Sequential, population: Population, seconds: float
) -> Certificate:
    exact, result = base.ratio, running.result()
    ratio = RatioEstimate(
        max(exact.lower, result.lower),
        point=min(max(result.point, exact.lower), exact.upper),
        upper=min(exact.upper, result.upper),
        alpha=result.alpha,
        n=exact.n,
        n_audited=exact.n_audited + result.n_labels,
        method=f"verified images counted, the rest audited by people: {METHOD}",
        assumptions=(*exact.assumptions, *ASSUMPTIONS, ERRING, *_test(running.reviewers)),
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
    """

    sample: Sample
    human: NDArray[np.bool_]
    ai: NDArray[np.bool_]
    scores: NDArray[np.float64]

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
        scores = _scores(catalogue) if sample.looks else np.full(len(human), np.nan)
        return cls(sample, human, ai, scores)

    def certify(
        self, *, keep: NDArray[np.bool_] | None = None, floor: float = 0.70, alpha: float = 0.05
    ) -> Certificate:
        """The certified share of the whole, or of the images kept."""
        return certify(
            self.sample, self.human, self.ai, scores=self.scores, keep=keep, floor=floor, alpha=alpha
        )

    def ratio(self, keep: NDArray[np.bool_], *, floor: float, alpha: float) -> RatioEstimate:
        """The guaranteed share of the images kept: a count alone where nobody has answered."""
        if not self.sample.looks:
            return human_ratio(self.human[keep], self.ai[keep], alpha=alpha)
        return self.certify(keep=keep, floor=floor, alpha=alpha).ratio


def _scores(catalogue: Catalogue) -> NDArray[np.float64]:
    """p(human) by the detector's logits alone: what people said must not be in it."""
    if "logit" not in catalogue.columns:
        return np.full(catalogue.n, np.nan)
    logits = np.asarray(catalogue.table(["logit"]).column("logit").to_numpy(zero_copy_only=False), np.float64)
    with np.errstate(over="ignore"):
        return 1.0 / (1.0 + np.exp(logits))
