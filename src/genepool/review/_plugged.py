"""Published preference models beside the votes of people: pinned, checked, and never mixed with them.

A model is named ``plug-in:place#key=value&…`` (entry-point group ``genepool.preferences``), for instance
``onnx:/models/aesthetic.onnx#sha256=…`` or ``transformers:owner/model#label=aesthetic``. The place may be a
file, a folder, or the name of a model that was downloaded before: nothing is fetched here, nothing is
unpickled, no code of a model is run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import numpy as np
from numpy.typing import NDArray

from genepool.errors import GenepoolError, IntegrityError, PluginError, UsageError
from genepool.records import PreferenceModel
from genepool.review._board import Rate
from genepool.review._proxy import VoteAgreement, vote_agreement

if TYPE_CHECKING:
    from genepool.store import Vote, Workspace

__all__ = ["ModelColumn", "open_preference_model", "options_of", "score_column"]

_FROZEN = "preferences.json"


@dataclass(frozen=True, slots=True)
class ModelColumn:
    """What one published model says about some images. Its label is part of it.

    Attributes:
        name: The model's.
        digest: SHA-256 (hex) of its weights and configuration.
        scores: Digest of an image → score on the model's own scale; larger is better.
        agreement: With the votes of people between these images.
        ladder: Pairs of one scene of the ladder in which it prefers the less degraded one.
        failed: Digest → why there is no score.
        label: ``published model``, always shown with its numbers.
    """

    name: str
    digest: str
    scores: Mapping[str, float]
    agreement: VoteAgreement
    ladder: Rate
    failed: Mapping[str, str] = field(default_factory=dict)
    label: str = "published model"

    @property
    def title(self) -> str:
        """Name and the beginning of the digest, for a column's head."""
        return f"{self.name}@{self.digest[:12]}"

    def again(self, votes: Sequence[Vote]) -> ModelColumn:
        """The same scores beside other votes."""
        return replace(self, agreement=_agreement(self.scores, votes))


def options_of(argument: str, allowed: Sequence[str]) -> tuple[str, dict[str, str]]:
    """A place and its options, ``place#key=value&key=value``.

    Raises:
        UsageError: No place, an unknown or repeated option.
    """
    place, _, text = argument.partition("#")
    pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=16) if text else []
    options = dict(pairs)
    unknown = set(options) - {*allowed, "sha256"}
    if not place or unknown or len(options) != len(pairs) or (text and not pairs):
        raise UsageError(
            f"preference model: expected PLACE#key=value with {', '.join((*allowed, 'sha256'))}, "
            f"found {argument!r}"
        )
    return place, options


def pinned(name: str, found: str, options: Mapping[str, str]) -> str:
    """The digest, if it is the one that was asked for.

    Raises:
        IntegrityError: It is another one.
    """
    wanted = options.get("sha256", "").lower()
    if wanted and wanted != found:
        raise IntegrityError(
            f"preference model {name}: expected sha256 {wanted[:16]}…, found {found[:16]}…",
            hint="the file is not the one that was pinned",
        )
    return found


def open_preference_model(spec: str, workspace: Workspace | None = None) -> PreferenceModel:
    """A model by its name, frozen in the workspace at first use.

    Args:
        spec: ``plug-in:place#key=value``.
        workspace: Where its digest is kept; None: nowhere.

    Raises:
        PluginError: No such plug-in, or it is no preference model.
        UsageError: Options that it does not know.
        SourceError: Nothing lies there.
        IntegrityError: It is not the model that was pinned, or that this workspace was begun with.
        MissingExtra: A library is not installed.
    """
    from genepool import plugins

    model: Any = plugins.create("preferences", spec)
    if not isinstance(model, PreferenceModel) or len(str(model.digest)) != 64:
        raise PluginError(
            f"plug-in {spec!r}: expected a preference model (name, digest of 64 hex digits, prepare, score), "
            f"found {type(model).__name__}"
        )
    if workspace is not None:
        held = workspace.read_json(_FROZEN) or {}
        before = held.setdefault(spec, model.digest)
        if before != model.digest:
            raise IntegrityError(
                f"preference model {spec}: expected sha256 {before[:16]}… as at first, "
                f"found {model.digest[:16]}…",
                hint="scores of two models do not compare: restore the file, or use another --workspace",
            )
        workspace.write_json(_FROZEN, held)
    return model


def score_column(
    model: PreferenceModel,
    images: Sequence[str],
    pixels: Callable[[str], NDArray[np.uint8]],
    votes: Sequence[Vote],
    *,
    captions: Mapping[str, str] | None = None,
    steps: Mapping[str, tuple[str, int]] | None = None,
) -> ModelColumn:
    """Score images, and compare with people.

    Args:
        model: As opened.
        images: Digests, each once.
        pixels: Digest → ``(h, w, 3)`` RGB.
        votes: People's, to compare with; ties are left out.
        captions: Digest → caption.
        steps: Digest → (scene, step of degradation) of the ladder's rungs.

    Raises:
        PluginError: The model cannot be loaded.
    """
    try:
        model.prepare()
    except GenepoolError:
        raise
    except Exception as error:  # a stranger's model may raise anything
        raise PluginError(f"preference model {model.name}: {type(error).__name__}: {error}"[:300]) from error
    scores: dict[str, float] = {}
    failed: dict[str, str] = {}
    for digest in images:
        try:
            value = float(model.score(pixels(digest), (captions or {}).get(digest, "")))
        except MemoryError:
            raise
        except Exception as error:  # a stranger's model may raise anything
            failed[digest] = f"{type(error).__name__}: {error}"[:200]
            continue
        if math.isfinite(value):
            scores[digest] = value
        else:
            failed[digest] = "it abstained" if math.isnan(value) else "its score is not finite"
    return ModelColumn(
        model.name, model.digest, scores, _agreement(scores, votes), _ladder(scores, steps or {}), failed
    )


def _agreement(scores: Mapping[str, float], votes: Sequence[Vote]) -> VoteAgreement:
    used = [
        v
        for v in votes
        if v.outcome in ("a", "b") and v.a in scores and v.b in scores and scores[v.a] != scores[v.b]
    ]
    names = {d: i for i, d in enumerate(sorted({d for v in used for d in (v.a, v.b)}))}
    people = {r: i for i, r in enumerate(sorted({v.reviewer for v in used}))}
    a, b, who = (
        np.array([table[word] for word in words], np.int64)
        for table, words in (
            (names, [v.a for v in used]),
            (names, [v.b for v in used]),
            (people, [v.reviewer for v in used]),
        )
    )
    hits = np.array([(v.outcome == "a") == (scores[v.a] > scores[v.b]) for v in used], np.bool_)
    return vote_agreement(hits, a, b, who)


def _ladder(scores: Mapping[str, float], steps: Mapping[str, tuple[str, int]]) -> Rate:
    """Pairs of one scene that it orders as they were degraded."""
    held = [(scene, step, scores[d]) for d, (scene, step) in steps.items() if d in scores]
    pairs = [
        (one, other)
        for i, one in enumerate(held)
        for other in held[i + 1 :]
        if one[0] == other[0] and one[1] != other[1]
    ]
    return Rate.of(sum((x[1] < y[1]) == (x[2] > y[2]) for x, y in pairs), len(pairs))
