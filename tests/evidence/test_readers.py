"""Strangers' witnesses are held to what they state: no hard facts, no weight above the ceiling."""

from __future__ import annotations

import math
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genepool import plugins
from genepool.config import Config
from genepool.errors import PluginError
from genepool.evidence import CEILING, EvidenceProbe, OpenReader, held, open_readers, reader_fault
from genepool.origin import fold
from genepool.records import Evidence, OriginClass
from genepool.testing import check_evidence_reader, picture, view_of


class Reader:
    name, version, ceiling = "mine", "1", 2.0

    def __init__(self, said=()):
        self.said = said

    def prepare(self):
        pass

    def read(self, view):
        return self.said


SAID = st.builds(
    Evidence,
    kind=st.sampled_from(["c2pa", "attestation", "archive", "verdict", "mine"]),
    claim=st.sampled_from(["ai", "human", "algorithmic", "none", "nonsense", None]),
    llr=st.one_of(st.floats(), st.integers(-9, 9), st.none(), st.just("3")),
    cap=st.floats(0, 99),
    hard=st.booleans(),
    origin=st.sampled_from([*OriginClass, "", "alien"]),
    generation=st.sampled_from([None, (1, 1), (4, None), (0, 0), "x", (True, 2), (-1, 3)]),
    model=st.text(max_size=300),
    detail=st.text(max_size=600),
    parents=st.just(("00" * 32,)),
)


@given(SAID, st.floats(0.01, CEILING))
def test_whatever_is_said_is_held_to_the_rules(said, ceiling):
    kept = held(said, "reader:mine", ceiling)
    assert kept.kind == "reader:mine"
    assert not kept.hard
    assert kept.claim in ("ai", "human", "none")
    assert abs(kept.weight) <= ceiling
    assert kept.parents == ()
    assert kept.generation is None or (kept.generation[0] >= 1 and kept.generation[1] is None)
    assert Evidence.from_json(kept.to_json()).weight == kept.weight
    settled = fold([kept])
    assert not settled.human, "a plug-in never makes an image count as human work"
    assert not settled.ai or ceiling == CEILING, "below the ceiling it decides nothing"


def test_a_full_weight_settles_and_anything_less_only_moves_the_probability():
    sure = held(Evidence("", "ai", 9.0, 9.0, detail="d"), "reader:mine", 3.0)
    assert (fold([sure]).ai, fold([sure]).tier) == (True, "declared")
    weak = held(Evidence("", "ai", 9.0, 9.0, detail="d"), "reader:mine", 2.99)
    assert (fold([weak]).ai, fold([weak]).status) == (False, "unknown")
    assert fold([weak]).p_human == pytest.approx(1 / (1 + math.exp(2.99)))
    # Beside a trusted human claim it disputes, as any mark does; it never overrules.
    attested = Evidence("attestation", "human", -6.0, 6.0, hard=True, origin="human_made")
    assert fold([attested]).human
    assert fold([attested, sure]).status == "disputed"
    assert fold([attested, weak]).human


def test_what_a_reader_does_wrong_stands_in_the_row():
    def said(answer):
        return [e.detail for e in OpenReader(Reader(answer), "mine").read(view_of(picture(40, 40)))]

    assert said(["text"]) == ["expected Evidence, found str"]
    assert "not iterable" in said(None)[0]
    assert "contradicts itself" in said([Evidence("", "ai", -1.0, 1.0)])[0]
    assert len(said([Evidence("", "none", 0.0, 0.0)] * 50)) == 16

    class Failing(Reader):
        def prepare(self):
            raise OSError("no database")

        def read(self, view):
            raise RuntimeError("no")

    reader = OpenReader(Failing(), "mine")
    assert reader.read(None)[0].detail == "failed: RuntimeError: no"
    reader.prepare()
    assert reader.read(None)[0].detail == "cannot start: OSError: no database"


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"name": "C2PA"}, "name"),
        ({"name": ""}, "name"),
        ({"version": ""}, "version"),
        ({"ceiling": 3.5}, "ceiling"),
        ({"ceiling": 0}, "ceiling"),
        ({"ceiling": True}, "ceiling"),
        ({"ceiling": math.nan}, "ceiling"),
    ],
)
def test_what_a_reader_states_must_be_sound(monkeypatch, wrong, word):
    reader = Reader()
    for name, value in wrong.items():
        setattr(reader, name, value)
    assert word in reader_fault(reader)
    monkeypatch.setattr(plugins, "create", lambda group, spec: reader)
    with pytest.raises(PluginError, match=word):
        open_readers(["mine"])
    assert not all(check.ok for check in check_evidence_reader(reader))


def test_readers_are_part_of_the_scans_identity_and_travel_to_workers(monkeypatch):
    monkeypatch.setattr(
        plugins, "create", lambda group, spec: Reader([Evidence("", "ai", 1.0, 1.0, detail="x")])
    )
    plain = EvidenceProbe.from_config(Config())
    config = Config().with_(evidence__readers=("mine",))
    probe = EvidenceProbe.from_config(config)
    assert probe.version != plain.version
    monkeypatch.setattr(Reader, "version", "2")
    assert EvidenceProbe.from_config(config).version != probe.version
    copy = pickle.loads(pickle.dumps(probe))
    copy.prepare()
    row = copy.examine(view_of(picture(40, 40)))
    assert '"kind":"reader:mine"' in row["evidence"]
    monkeypatch.setattr(plugins, "create", lambda group, spec: Reader())
    with pytest.raises(PluginError, match="two evidence readers"):
        open_readers(["mine", "mine:other"])
    monkeypatch.setattr(plugins, "create", lambda group, spec: object())
    with pytest.raises(PluginError, match="expected an evidence reader"):
        open_readers(["mine"])
