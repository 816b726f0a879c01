"""What people said, counted: verdicts, each model's outputs, what felt uncanny."""

import pyarrow as pa
import pytest

from genepool.config import Config
from genepool.gate._human import checkpoint
from genepool.gate._people import people
from genepool.records import Verdict
from genepool.store import ReviewRecord, Workspace
from support.reviews import controls


def origins(n):
    digests = [bytes([i]) * 32 for i in range(n)]
    return pa.table(
        {
            "sha256": pa.array(digests, pa.binary(32)),
            "model": pa.array(["sdx" if i < 4 else None for i in range(n)]),
            "lo": pa.array([1 if i < 2 else 2 if i < 4 else 0 for i in range(n)], pa.int32()),
            "ai": pa.array([i < 4 for i in range(n)]),
        }
    )


def said(i, reviewer="a", **flags):
    return Verdict((bytes([i]) * 32).hex(), "ai", reviewer, 1.0, **flags)


@pytest.fixture
def place(tmp_path):
    return Workspace(tmp_path / "w")


def test_nobody_has_looked(place):
    found = people(place, origins(6))
    assert (found.verdicts, found.models, found.uncanny) == (0, {"sdx": (0, 4)}, ())


def test_counts_and_uncanny_shares_per_model_and_generation(place):
    with ReviewRecord(place) as record:
        for verdict in (
            said(0, uncanny=True),
            said(0, "b"),
            said(0, undo=True),
            said(1),
            said(2, uncanny=True),
            said(5),
            said(3, control=True),  # an output that people see as a control is looked at as well
            said(4, repeat=True),
            said(9),  # of another set
            said(1, "clicker", uncanny=True),
        ):
            record.add(verdict)
        record.set_standing("clicker", "quarantined", "speed", 2.0)
    found = people(place, origins(6))
    assert found.verdicts == 5  # 0 by a and b, 1, 2, 5
    assert found.models == {"sdx": (4, 4)}
    one, two = found.uncanny
    assert (one["generation"], one["judged"], one["uncanny"]) == (1, 2, 1)
    assert (two["generation"], two["judged"], two["share"]) == (2, 2, 0.5)
    assert 0 < one["lower"] < 0.5 < one["upper"] < 1


def test_the_checkpoint_asks_for_looks_at_each_model():
    class M:
        verdicts, uri, workspace, certificate = 3, "set", "set.genepool", None
        models = {"sdx": (1, 40), "tiny": (2, 2)}  # noqa: RUF012

    config = Config().with_(review__checkpoint=3, review__checkpoint_outputs=5)
    found = checkpoint(M, config)
    assert found.status == "undecided"
    assert found.message == "1 on the outputs of sdx, 5 are asked for"
    assert "genepool review set" in found.hint
    assert checkpoint(M, Config()) is None


def test_controls_never_count(place):
    digests = list(controls(2))
    with ReviewRecord(place) as record:
        record.add(Verdict(digests[0], "human", "a", 1.0, control=True))
    assert people(place, origins(2)).verdicts == 0
