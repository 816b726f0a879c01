"""The probe: what it writes, what it refuses, and that it travels to workers."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from genepool.config import Config
from genepool.embedding import ClassicalEmbedder, EmbeddingProbe, HouseEmbedder
from genepool.errors import PluginError
from genepool.records import Probe


class Small:
    name, version, dim = "small", "3", 4

    def __init__(self, vector=(1, 0, 0, 0)):
        self.vector = np.array(vector, float)
        self.prepared = False

    def prepare(self):
        self.prepared = True

    def embed(self, view):
        return self.vector


class View:
    def thumbnail(self, short_side=256):
        return np.zeros((short_side, short_side, 3), np.uint8)


def test_the_configured_embedder_is_loaded_by_name():
    probe = EmbeddingProbe.from_config(Config())
    assert isinstance(probe, Probe)
    assert probe.version == f"house@{HouseEmbedder().version}"
    assert probe.columns == {"embedder": "string"}
    assert probe.vectors == {"style": HouseEmbedder.dim, "copy": HouseEmbedder.copy_dim}
    classical = EmbeddingProbe.from_config(Config().with_(diversity__embedder="classical"))
    assert classical.version == "classical@1"
    assert classical.vectors == {"style": ClassicalEmbedder.dim}


def test_it_survives_pickling_and_writes_its_columns():
    probe = pickle.loads(pickle.dumps(EmbeddingProbe.from_config(Config())))
    probe.prepare()
    row = probe.examine(View())
    assert row["embedder"] == probe.identity
    assert row["style"].shape == (HouseEmbedder.dim,)
    assert set(row) == {*probe.columns, *probe.vectors}


@pytest.mark.parametrize("vector", [(1, 2, 3), (1, 2, 3, np.nan), (np.inf, 0, 0, 0), ((1, 2), (3, 4))])
def test_a_vector_that_breaks_the_contract_is_named(vector):
    with pytest.raises(PluginError, match=r"small@3.*finite vector of length 4"):
        EmbeddingProbe(Small(vector)).examine(View())


def test_preparing_prepares_the_embedder():
    small = Small()
    EmbeddingProbe(small).prepare()
    assert small.prepared


def test_something_without_a_name_is_no_embedder():
    with pytest.raises(PluginError, match="expected name, version and dim"):
        EmbeddingProbe(object())


def test_an_unknown_embedder_is_refused_with_the_nearest_name():
    config = Config().with_(diversity__embedder="clasical")
    with pytest.raises(PluginError, match="clasical") as caught:
        EmbeddingProbe.from_config(config)
    assert "classical" in caught.value.hint
