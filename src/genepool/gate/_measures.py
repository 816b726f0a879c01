"""Everything that the rules look at, measured once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from genepool.errors import MeasureError
from genepool.gate._generation import ancestry, captions, worst
from genepool.gate._people import people
from genepool.records import Case, Estimate, RatioEstimate

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from genepool.config import Config
    from genepool.diversity import Copies
    from genepool.prevalence import Certificate, ReviewedSet
    from genepool.store import Catalogue, Workspace

__all__ = ["Measures", "SliceShare", "measure"]

PAIRS = 20
"""Pairs of copies that a decision names for the report."""


@dataclass(frozen=True, slots=True)
class SliceShare:
    """The human share of one slice (all images whose sidecar says ``column = name``)."""

    column: str
    name: str
    ratio: RatioEstimate


@dataclass(frozen=True, slots=True)
class Measures:
    """What was measured on a dataset, and the images behind each finding.

    Attributes:
        uri, n, root: The dataset: where, readable images, hex Merkle root.
        workspace: Where everything is kept, for the commands that messages name.
        kept, kept_root: Images on which the decision rests (readable and not set aside), and their root.
        human: Guaranteed human share over the kept images.
        slices: Human share per sidecar column value.
        generations: Images by generation, ``"0"``, ``"1"`` …, ``"unknown"`` for synthetic images whose
            generation is unbounded, ``"no origin"`` for images of unknown origin.
        top: Highest generation that some kept image certainly has (0 where nothing is known to be synthetic).
        worst: What the generation rule holds to its limit: the highest generation or F, the least retention.
        toxic: Images certainly beyond the limit of the generation rule.
        maybe_toxic: Known-synthetic images that may be beyond it.
        findings: Images whose claims contradict what was computed.
        diversity: The style diversity index, or None with `diversity_note` saying why.
        duplicates: Share of images that repeat another one.
        redundant: Those images, with the one that each repeats.
        opted_out: Images whose owner does not allow training.
        disputed: Images whose evidence contradicts itself.
        unread: Files that were set aside by listing or scan.
        verdicts: Human verdicts on images of this set.
        models: Known model → its outputs in this set that people judged, and all of them.
        certificate: How the human share was certified; None: it was only counted.
        extra: Counts and facts for the report.
    """

    uri: str
    n: int
    root: str
    workspace: str
    kept: int
    kept_root: str
    human: RatioEstimate
    slices: tuple[SliceShare, ...] = ()
    generations: Mapping[str, int] = field(default_factory=dict)
    top: int = 0
    worst: float | None = None
    toxic: tuple[Case, ...] = ()
    maybe_toxic: tuple[Case, ...] = ()
    findings: tuple[Case, ...] = ()
    diversity: Estimate | None = None
    diversity_note: str = ""
    duplicates: Estimate | None = None
    redundant: tuple[Case, ...] = ()
    opted_out: tuple[Case, ...] = ()
    disputed: tuple[Case, ...] = ()
    unread: tuple[Case, ...] = ()
    verdicts: int = 0
    models: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    certificate: Certificate | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


def measure(catalogue: Catalogue, origins: pa.Table, workspace: Workspace, config: Config) -> Measures:
    """Measure a scanned and settled dataset.

    Known-synthetic images whose generation is unbounded are left out of every share and of the index when
    the policy excludes them (``generation.unknown = "exclude"``), and so are opted-out images under
    ``policy.rights = "exclude"``: the decision rests on what would be trained on.

    Raises:
        MeasureError: The catalogue and the origins do not belong together.
    """
    import pyarrow.compute as pc

    from genepool.diversity import catalogue_copies
    from genepool.origin import judge_generations

    if origins.num_rows != catalogue.n:
        raise MeasureError(
            f"origins of {origins.num_rows} images beside a catalogue of {catalogue.n}",
            hint="run the check again: genepool check PATH",
        )
    uris = origins.column("uri").to_pylist()
    digests = origins.column("sha256").to_pylist()
    lo = origins.column("lo").to_numpy()
    hi = pc.fill_null(origins.column("hi"), -1).to_numpy()
    ai = origins.column("ai").to_numpy(zero_copy_only=False)
    human = origins.column("human").to_numpy(zero_copy_only=False)

    def cases(
        mask: NDArray[np.bool_], reason: str, code: str, text: Callable[[int], str]
    ) -> tuple[Case, ...]:
        found = np.flatnonzero(mask).tolist()
        return tuple(Case(uris[i], reason, text(i), code, _hex(digests[i])) for i in found)

    verdict = judge_generations(origins, config.generation)
    maybe = verdict.maybe
    signals, opted = _opt_outs(catalogue.table(["rights"]).column("rights"))
    keep = np.ones(len(uris), bool)
    if config.generation.unknown == "exclude":
        keep &= ~maybe
    if config.policy.rights == "exclude":
        keep &= ~opted
    chosen = catalogue if keep.all() else catalogue.select([u for u, k in zip(uris, keep, strict=True) if k])
    by_vector = config.diversity.copy_vectors
    copies = catalogue_copies(chosen, human[keep], by_vector=by_vector, config=config) if chosen.n else None
    duplicates, redundant, repeats = _duplicates(copies, uris, digests, keep)
    index, note, looks_like = _diversity(chosen, human[keep], copies, config)
    from genepool.prevalence import ReviewedSet

    reviewed = ReviewedSet.of(catalogue, origins, workspace)
    certificate = reviewed.certify(keep=keep, floor=config.policy.human_ratio, alpha=config.policy.alpha)
    looks = people(workspace, origins)
    return Measures(
        uri=catalogue.dataset.uri,
        n=catalogue.n,
        root=catalogue.root().hex(),
        workspace=workspace.where,
        kept=int(keep.sum()),
        kept_root=chosen.root().hex(),
        human=certificate.ratio,
        slices=_slices(origins, reviewed, keep, config),
        generations=_generations(lo, hi, ai, human),
        top=int(verdict.lo[keep & ai].max(initial=0)),
        worst=worst(verdict, keep & ai),
        toxic=cases(verdict.toxic, "generation", "GP401", verdict.sentence),
        maybe_toxic=cases(maybe, "unknown-generation", "GP402", verdict.sentence),
        findings=_findings(origins, uris, digests),
        diversity=index,
        diversity_note=note,
        duplicates=duplicates,
        redundant=redundant,
        opted_out=cases(opted, "opted-out", "GP501", lambda _: "the owner does not allow training on it"),
        disputed=cases(
            np.asarray(pc.equal(origins.column("status"), "disputed").to_numpy(zero_copy_only=False), bool),
            "disputed",
            "GP201",
            lambda _: "its evidence contradicts itself",
        ),
        unread=tuple(catalogue.cases()),
        verdicts=looks.verdicts,
        models=looks.models,
        certificate=certificate,
        extra={
            "certificate": certificate.to_json(),
            **({"diversity": looks_like} if looks_like else {}),
            "uncanny": list(looks.uncanny),
            **_extra(catalogue, origins, signals, repeats),
            "detector": _judge(catalogue, workspace, config),
            "captions": captions(catalogue),
            **({"lineage": lineage} if (lineage := ancestry(origins, config)) else {}),
        },
    )


def _opt_outs(rights: pa.ChunkedArray) -> tuple[dict[str, int], NDArray[np.bool_]]:
    """Which images say ``notAllowed`` to training or mining, and how often each signal occurs."""
    import orjson
    import pyarrow as pa

    # The same few texts stand at all images: each is read once.
    encoded = rights.cast(pa.string()).combine_chunks().dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    texts = encoded.dictionary.to_pylist()
    counts = np.bincount(codes[codes >= 0], minlength=len(texts)).tolist()
    signals: dict[str, int] = {}
    forbids = np.zeros(len(texts) + 1, bool)  # the last one is that of images without any
    for k, text in enumerate(texts):
        for entry in orjson.loads(text) if text else ():
            name = f"{entry['signal']}: {entry['value']}"
            signals[name] = signals.get(name, 0) + counts[k]
            # Showing a picture to a finished model is not training on it.
            forbids[k] |= entry["value"] == "notAllowed" and not entry["signal"].endswith("ai_inference")
    return signals, forbids[codes]


def _hex(digest: bytes | str) -> str:
    return digest.hex() if isinstance(digest, bytes) else digest


def _generations(
    lo: NDArray[np.int32], hi: NDArray[np.int32], ai: NDArray[np.bool_], human: NDArray[np.bool_]
) -> dict[str, int]:
    """Images by generation; an interval of several counts as ``lo+``, one without end as ``unknown``."""
    counts: dict[str, int] = {"0": int(human.sum())}
    exact = ai & (lo == hi)
    for generation in np.unique(lo[exact]):
        counts[str(int(generation))] = int((exact & (lo == generation)).sum())
    bounded = ai & ~exact & (hi >= 0)
    for generation in np.unique(lo[bounded]):
        counts[f"{int(generation)}+"] = int((bounded & (lo == generation)).sum())
    if unbounded := int((ai & (hi < 0)).sum()):
        counts["unknown"] = unbounded
    if nothing := int((~ai & ~human).sum()):
        counts["no origin"] = nothing
    return counts


def _slices(
    origins: pa.Table, reviewed: ReviewedSet, keep: NDArray[np.bool_], config: Config
) -> tuple[SliceShare, ...]:
    """Every slice that is large enough; what is audited shares alpha with all of them (Bonferroni)."""
    from genepool.prevalence import certified_slices

    policy = config.policy
    found = certified_slices(
        reviewed,
        origins,
        policy.slices,
        keep=keep,
        floor=policy.human_ratio,
        alpha=policy.alpha,
        minimum=policy.slice_min,
    )
    return tuple(SliceShare(s.column, s.name, s.certificate.ratio) for s in found)


def _findings(origins: pa.Table, uris: list[str], digests: list[bytes]) -> tuple[Case, ...]:
    if "finding" not in origins.column_names:
        return ()
    texts = origins.column("finding").to_pylist()
    return tuple(
        Case(uris[i], "contradiction", text, "GP403", _hex(digests[i]))
        for i, text in enumerate(texts)
        if text
    )


def _duplicates(
    copies: Copies | None, uris: list[str], digests: list[bytes], keep: NDArray[np.bool_]
) -> tuple[Estimate | None, tuple[Case, ...], dict[str, Any]]:
    """The share of images that repeat another one, those images, and how they were found.

    In each cluster the verified human image is kept, then the one with the most pixels, then the largest
    file, then the first by name. The pairs to look at are the least sure ones.
    """
    if copies is None:
        return None, (), {"n_exact": 0, "n_near": 0, "pairs": []}
    where, extra = np.flatnonzero(keep), copies.redundant
    exact = 0
    cases = []
    for i in extra.tolist():
        mine, kept = where[i], where[copies.keep[i]]
        same = digests[mine] == digests[kept]
        exact += same
        cases.append(
            Case(
                uris[mine],
                "duplicate" if same else "near-duplicate",
                f"repeats {uris[kept]}, which is kept: {copies.why[i]}",
                "GP303",
                _hex(digests[mine]),
            )
        )
    n = len(copies.labels)
    share = len(extra) / n
    method = (
        "share of images that copy a kept one by bytes, pixels, 256-bit perceptual hash or copy vector; "
        "every image was compared"
    )
    unsure = extra[np.argsort(-copies.kinds[extra], kind="stable")][:PAIRS].tolist()
    pairs = [
        {
            "image": uris[where[i]],
            "kept": uris[where[copies.keep[i]]],
            "by": copies.found_by(i),
            "why": copies.why[i],
        }
        for i in unsure
    ]
    found = {"n_exact": exact, "n_near": len(extra) - exact, "pairs": pairs}
    return Estimate(share, share, share, n, method), tuple(cases), found


def _diversity(
    catalogue: Catalogue, human: NDArray[np.bool_], copies: Copies | None, config: Config
) -> tuple[Estimate | None, str, dict[str, Any]]:
    from genepool.diversity import portrait

    if copies is None:
        return None, "no image is left to measure", {}
    try:
        found = portrait(catalogue, config, verified=human, copies=copies)
    except MeasureError as error:
        return None, error.message, {}
    return found.sdi, "", found.to_json()


def _extra(
    catalogue: Catalogue, origins: pa.Table, signals: dict[str, int], repeats: dict[str, Any]
) -> dict[str, Any]:
    from genepool._version import __version__

    columns = catalogue.table(["c2pa", "format", "decoder"])
    stats = catalogue.stats
    return {
        "origins": _tally(origins.column("tier")),
        "classes": _tally(origins.column("origin")),
        "c2pa": _tally(columns.column("c2pa")),
        "rights": signals,
        "duplicates": repeats,
        "timing": {
            "seconds": round(stats.seconds, 3),
            "scanned": stats.n_new,
            "reused": stats.n_reused,
            "images_per_second": round(stats.images_per_second, 1),
            "workers": stats.workers,
        },
        "versions": {"genepool": __version__, "decoders": sorted(_tally(columns.column("decoder")))},
        **({"changes": stats.changes.to_json(100)} if stats.changes else {}),
        **({"remarks": list(stats.remarks)} if stats.remarks else {}),
    }


def _judge(catalogue: Catalogue, workspace: Workspace, config: Config) -> dict[str, Any]:
    """What the pixel judge decided, what it was calibrated on, where it failed, and why it said nothing."""
    from genepool.detection import Judge, opinions

    columns = catalogue.table(["detector", "logit", "abstained"])
    names = sorted(name for name in _tally(columns.column("detector")) if name)
    judge = Judge(columns, workspace, config.detection.threshold)
    verdicts: dict[str, int] = {}
    notes: dict[str, int] = {}
    if columns.column("logit").null_count == catalogue.n:
        verdicts["abstain"], notes = catalogue.n, _tally(columns.column("abstained"))
    else:
        for opinion in opinions(catalogue, workspace, config):
            verdicts[opinion.verdict] = verdicts.get(opinion.verdict, 0) + 1
            if opinion.verdict == "abstain":
                notes[opinion.reason.split(" (")[0]] = notes.get(opinion.reason.split(" (")[0], 0) + 1
    abstained = verdicts.pop("abstain", 0)
    found: dict[str, Any] = {
        "name": ", ".join(names),
        "decided": sum(verdicts.values()),
        **verdicts,
        "abstained": abstained,
        "note": max(notes, key=lambda k: notes[k], default=""),
    }
    for name in names:
        if held := judge.calibration(name):
            found["calibration"] = held.facts()
        if name in judge.failed:
            found["failed"] = judge.failed[name]
            found["failure"] = judge.removed(name) or judge.failures[name]
    return found


def _tally(column: pa.ChunkedArray) -> dict[str, int]:
    import pyarrow.compute as pc

    counts = {str(row["values"] or ""): int(row["counts"]) for row in pc.value_counts(column).to_pylist()}
    return dict(sorted(counts.items(), key=lambda kv: (-kv[1], kv[0])))
