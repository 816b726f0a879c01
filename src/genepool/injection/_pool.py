"""What injection works on: the images of a set and of a reserve, as arrays."""

from __future__ import annotations

from dataclasses import dataclass
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
    from numpy.typing import NDArray

    from genepool.config import Config
    from genepool.dataset import Dataset
    from genepool.store import Catalogue, Workspace

__all__ = ["Pool"]


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


def load(parts: list[tuple[Catalogue, Workspace]], panel: Panel, config: Config) -> Pool:
    """Read the catalogues of a set and, perhaps, of a reserve.

    Origins that are not settled yet are settled here.

    Raises:
        MeasureError: Vectors of another embedder than the panel's, fewer than two images.
    """
    from genepool import origin

    whitened: list[NDArray[np.float64]] = []
    uris: list[str] = []
    columns: dict[str, list[Any]] = {"reserve": [], "human": [], "ai": [], "lost": [], "phash": []}
    for number, (catalogue, place) in enumerate(parts):
        table = catalogue.table(["uri", "phash"])
        vectors, lost = style_vectors(catalogue, panel)
        origins = catalogue.origins()
        if origins is None:
            origins = origin.settle(catalogue, place, config)
        uris += table.column("uri").to_pylist()
        columns["phash"] += table.column("phash").to_pylist()
        columns["reserve"].append(np.full(catalogue.n, number > 0))
        for name in ("human", "ai"):
            columns[name].append(np.asarray(origins.column(name).to_numpy(zero_copy_only=False), bool))
        columns["lost"].append(lost)
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
    )


def scanned(dataset: Dataset, workspace: Any, config: Config) -> tuple[Catalogue, Workspace]:
    """The catalogue of a dataset and the place where it is kept."""
    from genepool import scan, store

    place = store.workspace_for(dataset, workspace)
    return scan.scan(dataset, place, config=config), place
