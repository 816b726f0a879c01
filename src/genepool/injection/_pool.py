"""What injection works on: the images of a set and of a reserve, as arrays."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from genepool.diversity import (
    Panel,
    SpreadState,
    StyleEstimate,
    StyleState,
    cluster_weights,
    index_of,
    near_duplicates,
    style_vectors,
)
from genepool.errors import MeasureError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from genepool.config import Config
    from genepool.dataset import Dataset
    from genepool.injection._quality import Quality
    from genepool.store import Catalogue, Workspace

__all__ = ["Pool", "forbidden", "load", "scanned"]


OUTER = 0.8
"""Share of the panel's reach beyond which an image is an outlier."""


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """The images of a dataset (first) and of a reserve (after them), in the order of their catalogues.

    Attributes:
        panel: The reference.
        uris: As in the dataset they come from.
        reserve: Which are of the reserve.
        whitened: ``(n, d)`` style vectors.
        on: On support or verified human.
        human: Verified human.
        ai: Verified machine-made.
        cluster: Near-duplicate clusters over both.
        alpha: 1 − confidence of the index.
        quality: Of each image; None: nothing is known about it.
        barred: Why the policy keeps an image from being brought in: ``generation``, ``unknown generation``,
            ``rights``; empty: it does not.
        approved: Images that people, asked by this project, held for human work.
        artist: Name of the artist, empty where none is known.
        digests: SHA-256 of each image, hex.
        lo, hi: ``(n,)`` generation; hi −1 = no upper end.
    """

    panel: Panel
    uris: tuple[str, ...]
    reserve: NDArray[np.bool_]
    whitened: NDArray[np.float64]
    on: NDArray[np.bool_]
    human: NDArray[np.bool_]
    ai: NDArray[np.bool_]
    cluster: NDArray[np.int64]
    alpha: float
    quality: Quality | None = None
    barred: NDArray[Any] = field(default_factory=lambda: np.zeros(0, object))
    approved: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))
    artist: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    lo: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    hi: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    @property
    def free(self) -> NDArray[np.bool_]:
        """Images that no policy keeps out."""
        return np.asarray(self.barred == "") if len(self.barred) else np.ones(len(self.uris), bool)

    @property
    def outlying(self) -> NDArray[np.bool_]:
        """Images in the outer fifth of the panel's reach: on support, but far from every style."""
        return np.asarray(self.on & (self.panel.nearest(self.whitened)[1] > OUTER * self.panel.reach))

    @property
    def vouched(self) -> NDArray[np.bool_]:
        """Verified human, or held for human by people who were asked."""
        return self.human | self.approved if len(self.approved) else self.human

    def index(self, chosen: NDArray[np.intp]) -> StyleEstimate:
        """The style diversity index of some of the images, as `StyleDiversityIndex` would find it.

        Raises:
            MeasureError: Fewer than two images.
        """
        state = StyleState(self.panel)
        weight = cluster_weights(self.cluster[chosen])
        for at in range(0, len(chosen), 2048):
            part = chosen[at : at + 2048]
            state.add(self.whitened[part], self.on[part], weight[at : at + 2048])
        spread = SpreadState(state)
        stride = -(-len(chosen) // 4096)
        sample = np.arange(0, len(chosen), stride)
        for at in range(0, len(sample), 2048):
            pick = sample[at : at + 2048]
            spread.add(self.whitened[chosen[pick]], self.on[chosen[pick]], weight[pick])
        return index_of(state, spread, self.alpha)

    def keepers(self, among: NDArray[np.intp]) -> NDArray[np.intp]:
        """One image of each near-duplicate cluster: the set's before the reserve's, verified human first."""
        order = among[np.lexsort((among, ~self.human[among], self.reserve[among]))]
        _, first = np.unique(self.cluster[order], return_index=True)
        return np.sort(order[first])


def load(
    parts: list[tuple[Catalogue, Workspace]],
    panel: Panel,
    config: Config,
    quality: Quality | None = None,
    settled: Sequence[pa.Table] = (),
) -> Pool:
    """Read the catalogues of a set and, perhaps, of a reserve.

    Args:
        parts: Catalogues with their places, the set's first.
        panel: The reference.
        config: Policy.
        quality: Of all images, in the same order.
        settled: Their origins; empty: settled anew here, because the logs may have grown since the last
            check.

    Raises:
        MeasureError: Vectors of another embedder than the panel's, fewer than two images.
    """
    from genepool import origin

    whitened: list[NDArray[np.float64]] = []
    uris: list[str] = []
    columns: dict[str, list[Any]] = {
        name: [] for name in ("reserve", "human", "ai", "lost", "phash", *_EXTRA)
    }
    for number, (catalogue, place) in enumerate(parts):
        table = catalogue.table(["uri", "phash", "sha256"])
        vectors, lost = style_vectors(catalogue, panel)
        origins = settled[number] if settled else origin.settle(catalogue, place, config)
        uris += table.column("uri").to_pylist()
        columns["phash"] += table.column("phash").to_pylist()
        columns["digests"] += [bytes(d).hex() for d in table.column("sha256").to_pylist()]
        columns["artist"] += [name or "" for name in origins.column("artist").to_pylist()]
        columns["reserve"].append(np.full(catalogue.n, number > 0))
        for name in ("human", "ai"):
            columns[name].append(np.asarray(origins.column(name).to_numpy(zero_copy_only=False), bool))
        columns["lost"].append(lost)
        verdict = origin.judge_generations(origins, config.generation)
        barred = np.full(catalogue.n, "", object)
        if config.policy.rights != "ignore":
            barred[forbidden(catalogue)] = "rights"
        barred[verdict.maybe] = "unknown generation"
        barred[verdict.toxic] = "generation"
        columns["barred"].append(barred)
        columns["lo"].append(np.asarray(verdict.lo, np.int64))
        columns["hi"].append(np.asarray(verdict.hi, np.int64))
        columns["approved"].append(_approved(columns["digests"][-catalogue.n :], place))
        whitened += [panel.whiten(part) for part in vectors()]
    if len(uris) < 2:
        raise MeasureError(f"injection: expected at least two readable images, found {len(uris)}")
    places = np.concatenate(whitened)
    human = np.concatenate(columns["human"])
    seen = human & ~np.concatenate(columns["lost"])
    anchors = places[seen]
    anchors = anchors[~panel.supported(anchors)]
    return Pool(
        panel=panel,
        uris=tuple(uris),
        reserve=np.concatenate(columns["reserve"]),
        whitened=places,
        on=StyleState(panel, anchors).on_support(places, seen),
        human=human,
        ai=np.concatenate(columns["ai"]),
        cluster=near_duplicates(columns["phash"]),
        alpha=config.policy.alpha,
        quality=quality,
        barred=np.concatenate(columns["barred"]),
        approved=np.concatenate(columns["approved"]),
        artist=tuple(columns["artist"]),
        digests=tuple(columns["digests"]),
        lo=np.concatenate(columns["lo"]),
        hi=np.concatenate(columns["hi"]),
    )


_EXTRA = ("digests", "artist", "barred", "approved", "lo", "hi")


def _approved(digests: list[str], place: Workspace) -> NDArray[np.bool_]:
    """Images of which more of the people asked said human than AI."""
    from genepool.store import Verdicts

    if not place.reviews.exists():
        return np.zeros(len(digests), bool)
    with Verdicts(place) as verdicts:
        last = {(v.sha256, v.reviewer): v.answer for v in sorted(verdicts.counted(), key=lambda v: v.at)}
    balance: dict[str, int] = {}
    for (digest, _), answer in last.items():
        balance[digest] = balance.get(digest, 0) + {"human": 1, "ai": -1}.get(answer, 0)
    return np.array([balance.get(digest, 0) > 0 for digest in digests], bool)


def forbidden(catalogue: Catalogue) -> NDArray[np.bool_]:
    """Images whose owner does not allow training or mining; showing them to a finished model is neither."""
    import orjson

    if "rights" not in catalogue.columns:
        return np.zeros(catalogue.n, bool)
    texts = catalogue.table(["rights"]).column("rights").to_pylist()
    return np.array(
        [
            bool(text)
            and any(
                entry["value"] == "notAllowed" and not entry["signal"].endswith("ai_inference")
                for entry in orjson.loads(text)
            )
            for text in texts
        ],
        bool,
    )


def scanned(dataset: Dataset, workspace: Any, config: Config) -> tuple[Catalogue, Workspace]:
    """The catalogue of a dataset and the place where it is kept."""
    from genepool import scan, store

    place = store.workspace_for(dataset, workspace)
    return scan.scan(dataset, place, config=config), place
