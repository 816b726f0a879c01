"""Everybody who has an opinion on which image is better, each in a column of their own.

People's votes make the score. The proxy learnt from them and published models stand beside it, under their
own labels, with what was measured about them; no number of theirs ever enters people's score.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genepool.errors import GenepoolError
from genepool.review._persons import is_person
from genepool.review._plugged import ModelColumn, open_preference_model, score_column
from genepool.review._preference import PreferenceReport, preference_scores
from genepool.review._proxy import Proxy, learn_proxy

if TYPE_CHECKING:
    from genepool.review._ladder import Ladder
    from genepool.review._pictures import Pictures
    from genepool.store import Catalogue, ReviewRecord, Workspace

__all__ = ["Judges", "captions_of", "judge_images", "scores_table"]


@dataclass(frozen=True, slots=True)
class Judges:
    """What people, the proxy and published models say about the images that are compared.

    Attributes:
        people: The score, from votes of people only.
        proxy: A stand-in learnt from these votes; None: refused, or nothing to learn from.
        proxy_note: Why there is no proxy.
        ranks: Digest → the proxy's value, whose order predicts preference; its size means nothing.
        models: Published models, one column each.
        problems: Model → why it has no column.
    """

    people: PreferenceReport
    proxy: Proxy | None
    proxy_note: str
    ranks: Mapping[str, float]
    models: tuple[ModelColumn, ...]
    problems: Mapping[str, str]


def judge_images(
    record: ReviewRecord,
    ladder: Ladder,
    pictures: Pictures,
    images: Sequence[str],
    *,
    embedder: str = "classical",
    models: Sequence[str] = (),
    workspace: Workspace | None = None,
    captions: Mapping[str, str] | None = None,
    command: str = "genepool review PATH",
    tests: bool = False,
    before: Judges | None = None,
) -> Judges:
    """Ask everybody.

    Args:
        record: Votes and standings.
        ladder: The frozen ladder.
        pictures: Where images and rungs are found.
        images: Digests of the images that are compared.
        embedder: Plug-in whose vectors the proxy learns from.
        models: Published models, ``plug-in:place#…``.
        workspace: Where the digests of models are frozen.
        captions: Digest → caption, for models that read.
        command: What to run where people are needed.
        tests: Count test data; only ever for tests of this package.
        before: What was found earlier about the same images: models are not asked again.
    """
    votes, out = record.votes(), record.quarantined()
    people = preference_scores(
        votes, ladder.names, steps=ladder.steps, quarantined=out, tests=tests, command=command
    )
    counted = [v for v in votes if v.reviewer not in out and (tests or is_person(v.reviewer))]
    shown = list(dict.fromkeys([*images, *ladder.names]))
    proxy, note, ranks = None, people.needs, {}
    if counted:
        features, lost = _features(shown, pictures, embedder)
        try:
            proxy = learn_proxy(counted, features, tests=tests)
            ranks = dict(zip(features, proxy.rank(np.array(list(features.values()))).tolist(), strict=True))
        except GenepoolError as error:
            note = error.message + (f" ({lost} images could not be read)" if lost else "")
    columns, problems = [], {}
    known = {column.digest: column for column in (before.models if before else ())}
    for spec in models:
        try:
            model = open_preference_model(spec, workspace)
            if model.digest in known:
                columns.append(known[model.digest].again(counted))
                continue
            columns.append(
                score_column(model, shown, pictures.pixels, counted, captions=captions, steps=ladder.steps)
            )
        except GenepoolError as error:
            problems[spec] = f"{error.code} {error}"
    return Judges(people, proxy, note, ranks, tuple(columns), problems)


def _features(
    digests: Sequence[str], pictures: Pictures, embedder: str
) -> tuple[dict[str, NDArray[np.float32]], int]:
    """Style vectors of images and rungs alike, and how many could not be read."""
    from genepool import plugins

    made = plugins.create("embedders", embedder)
    made.prepare()
    found, lost = {}, 0
    for digest in digests:
        try:
            found[digest] = made.embed(pictures.view(digest))
        except GenepoolError:
            lost += 1
    return found, lost


def scores_table(judges: Judges, images: Sequence[str], names: Mapping[str, str]) -> str:
    """All columns as CSV: people's score with its interval, the proxy, each model; one image a line.

    Args:
        judges: As `judge_images` gives them.
        images: Digests.
        names: Digest → uri.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    head = ["uri", "sha256", "people", "people_lower", "people_upper", "votes", "proxy"]
    writer.writerow([*head, *(f"published model: {column.title}" for column in judges.models)])
    for digest in images:
        score = judges.people.scores.get(digest)
        needs = judges.people.needs or "needs people: nobody has voted on this image"
        mine: list[Any] = [needs, "", "", 0]
        if score is not None:
            mine = [f"{score.value:.3f}", f"{score.lower:.3f}", f"{score.upper:.3f}", score.votes]
        proxy = f"{judges.ranks[digest]:.4f}" if digest in judges.ranks else "refused"
        columns = (_number(column, digest) for column in judges.models)
        writer.writerow([_safe(names.get(digest, "")), digest, *mine, proxy, *columns])
    return out.getvalue()


def _number(column: ModelColumn, digest: str) -> str:
    return f"{column.scores[digest]:.6g}" if digest in column.scores else column.failed.get(digest, "")


def _safe(text: str) -> str:
    """A spreadsheet would run a cell that begins like a formula."""
    return "'" + text if text[:1] in "=+-@\t\r" else text


def captions_of(catalogue: Catalogue, images: Sequence[str]) -> dict[str, str]:
    """Digest → caption, where there is one.

    Args:
        catalogue: The set.
        images: Digests.
    """
    if "caption" not in catalogue.columns:
        return {}
    import pyarrow as pa
    import pyarrow.compute as pc

    table = catalogue.table(["sha256", "caption"])
    digests = table.column("sha256")
    wanted = pa.array([bytes.fromhex(digest) for digest in images], digests.type)
    table = table.filter(pc.is_in(digests, value_set=wanted))
    rows = zip(table.column("sha256").to_pylist(), table.column("caption").to_pylist(), strict=True)
    return {digest.hex(): str(text) for digest, text in rows if text}
