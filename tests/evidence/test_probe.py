"""The probe: rows for the catalogue, in any process."""

from __future__ import annotations

import json
import multiprocessing
import pickle
import warnings

import pytest

from c2pa_fixtures import TRAINED, Authority, created, sign
from genepool.config import Config
from genepool.errors import ConfigError
from genepool.evidence import EvidenceProbe
from genepool.records import Evidence, Item, Probe, Sample
from genepool.scan._view import View
from support import marks as m


def view(data, declared=None):
    """What the scan hands to a probe."""
    return View(Sample(Item("a", "1", "a"), data, declared=declared), max_pixels=10**8)


@pytest.fixture(scope="module")
def authority():
    return Authority.make()


@pytest.fixture
def anchors(authority, tmp_path):
    (tmp_path / "root.pem").write_text(authority.root)
    return str(tmp_path / "root.pem")


def test_it_keeps_the_contract():
    probe = EvidenceProbe.from_config(Config())
    assert isinstance(probe, Probe)
    assert probe.columns == {"evidence": "string", "c2pa": "string", "rights": "string"}
    assert probe.vectors == {}
    probe.prepare()
    assert probe.examine(view(m.encode("JPEG"))) == {"evidence": "[]", "c2pa": "absent", "rights": "[]"}


def test_a_row_can_be_read_back(authority, anchors):
    config = Config().with_(evidence__trust_anchors=(anchors,), evidence__archives=("museum",))
    probe = EvidenceProbe.from_config(config)
    assertions = [
        {"label": "cawg.training-mining", "data": {"entries": {"cawg.ai_training": {"use": "notAllowed"}}}},
        {"label": "org.genepool.generation", "data": {"lo": 1, "hi": 2}},
    ]
    signed = sign(
        m.encode("PNG"), "image/png", authority.credential(), [created(TRAINED)], assertions=assertions
    )
    row = probe.examine(view(signed, {"source": "museum", "created": "1900", "origin": "captured"}))
    assert row["c2pa"] == "valid"
    found = [Evidence.from_json(item) for item in json.loads(row["evidence"])]
    assert [(item.kind, item.claim) for item in found] == [
        ("c2pa", "ai"),
        ("declared", "human"),
        ("archive", "human"),
    ]
    assert found[0].generation == (1, 2)
    assert found[0].hard
    (right,) = json.loads(row["rights"])
    assert right.keys() == {"signal", "value", "reference"}
    assert (right["signal"], right["value"]) == ("cawg.ai_training", "notAllowed")


def test_whatever_decides_a_row_is_in_its_version(anchors):
    def version(**changes):
        return EvidenceProbe.from_config(Config().with_(**changes)).version

    plain = version()
    assert plain == version()
    assert len({plain, version(evidence__archives=("a",)), version(evidence__trust_anchors=(anchors,))}) == 3


def test_a_missing_anchor_file_is_a_configuration_error():
    with pytest.raises(ConfigError, match="cannot be read"):
        EvidenceProbe.from_config(Config().with_(evidence__trust_anchors=("nowhere.pem",)))


def test_it_works_in_a_spawned_worker(authority, anchors):
    probe = EvidenceProbe.from_config(Config().with_(evidence__trust_anchors=(anchors,)))
    probe.prepare()  # a prepared probe must still be picklable
    signed = sign(m.encode("JPEG"), "image/jpeg", authority.credential(), [created(TRAINED)])
    assert pickle.loads(pickle.dumps(probe)).version == probe.version
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        there = dict(pool.apply_async(probe.examine, (view(signed),)).get(60))
    assert there == dict(probe.examine(view(signed)))
    assert there["c2pa"] == "valid"


def test_it_works_after_a_fork(authority, anchors):
    """A native handle must not be used in another process than its own; the child builds its own."""
    probe = EvidenceProbe.from_config(Config().with_(evidence__trust_anchors=(anchors,)))
    signed = sign(m.encode("JPEG"), "image/jpeg", authority.credential(), [created(TRAINED)])
    here = probe.examine(view(signed))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking beside threads: what is tested here
        with multiprocessing.get_context("fork").Pool(1) as pool:
            assert pool.apply_async(probe.examine, (view(signed),)).get(60) == here
