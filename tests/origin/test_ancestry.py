"""From the log's records to a pedigree, and from models named for an image to its generation."""

import math
from types import SimpleNamespace

import pytest

from genepool import provenance
from genepool.config import Config
from genepool.origin import lineage_findings, log_lineage, pedigree
from genepool.origin._ancestry import Ancestry
from genepool.provenance import CohortRecord, ModelRecord, open_trail
from genepool.records import Attestation, Evidence
from genepool.store import Workspace
from support.scans import fill, scanned


def trail(models, cohorts=()):
    return SimpleNamespace(models={m.name: m for m in models}, cohorts={c.name: c for c in cohorts})


def attestation(model, generation=(1, 1), trusted=True, key="k", matched_by="sha256"):
    return Attestation("synthetic", key, trusted, matched_by, model=model, generation=generation)


ROOT = "ab" * 32
HUMAN = CohortRecord("human", "human_made", 40, "", ROOT, (ROOT,), (0, 0), trusted=True)
STRANGER = CohortRecord("stranger", "human_made", 40, generation=(0, None), trusted=False)
M1 = ModelRecord("M1", (("human", 1.0),), generation=(1, 1), trusted=True, key="k")
M3 = ModelRecord("M3", (("human", 0.5), ("out2", 0.5)), generation=(3, 3), trusted=True, key="k")
LOST = ModelRecord("lost", (("unknown", None),), generation=(1, None), trusted=True, key="k")


def test_a_real_log_becomes_a_pedigree(tmp_path):
    space = tmp_path / "work"
    work = Workspace(space)
    human = fill(tmp_path / "human", 6)
    provenance.register_human(scanned(human, space), work, cohort="human", config=Config())
    provenance.register_model(work, "M1", [("human", 1.0)])
    outputs = fill(tmp_path / "outputs", 2, names="o{}.jpg", size=64)
    provenance.register_outputs(scanned(outputs, space), work, model="M1", cohort="out1")
    provenance.register_model(work, "M2", [("human", 0.25), ("out1", 0.75)])
    read = open_trail(work, Config())
    graph = pedigree(read)
    assert {name: graph.generation(name) for name in ("human", "out1", "M1", "M2")} == {
        "human": (0, 0),
        "out1": (1, 1),
        "M1": (1, 1),
        "M2": (2, 2),
    }
    assert all(graph.generation(name) == record.generation for name, record in read.models.items())
    assert graph.mean_generation("M2") == pytest.approx(1.75)
    assert graph.founder_genome_equivalents("human") == pytest.approx(6)
    assert graph.inbreeding("M2") > graph.inbreeding("M1") > 0


def test_only_trusted_human_cohorts_are_founders():
    graph = pedigree(trail([ModelRecord("M", (("stranger", 1.0),))], [HUMAN, STRANGER]))
    assert graph.generation("M") == (1, None)
    assert graph.human_share("M") == 0.0
    graph = pedigree(trail([ModelRecord("M", ((ROOT, None),))], [HUMAN]))
    assert graph.generation("M") == (1, 1)  # named by the root of its folder
    made = CohortRecord("bought", "synthetic", 9, generation=(1, None), trusted=True)
    graph = pedigree(trail([ModelRecord("M", (("bought", 1.0),))], [made]))
    assert graph.generation("M") == (2, None)
    assert math.isnan(graph.inbreeding("M"))


def test_records_that_form_a_loop_have_no_upper_end():
    a, b = ModelRecord("A", (("B", 1.0),)), ModelRecord("B", (("A", 1.0),))
    graph = pedigree(trail([a, b]))
    assert graph.generation("A")[1] is None
    assert graph.generation("B")[1] is None


@pytest.mark.parametrize(
    ("claims", "named", "expected"),
    [
        ([], [], None),
        ([attestation("nobody")], [], None),
        ([attestation("M1")], [], (1, 1)),
        ([attestation("M3")], [], (3, 3)),
        ([attestation("M1"), attestation("M3")], [], (3, 3)),
        ([attestation("lost", (1, None))], [], (1, None)),
        ([attestation("M1"), attestation("lost", (1, None))], [], (1, None)),
        # The model's own key filed the outputs before the model: believed once the model is known.
        ([attestation("M1", (1, None))], [], (1, 1)),
        ([attestation("M1", (1, None), key="other")], [], (1, None)),
        ([attestation("M1", (1, 1), trusted=False)], [], (1, None)),
        ([attestation("M1", (1, 1), matched_by="phash")], [], (1, None)),
        # A name in a file's metadata raises the lower end and never gives an upper one.
        ([], ["M1"], (1, None)),
        ([], ["M3"], (3, None)),
        ([attestation("M1")], ["M3"], (3, 3)),
    ],
)
def test_generation_by_models(claims, named, expected):
    found = Ancestry(trail([M1, M3, LOST], [HUMAN]))
    evidence = [Evidence("generator", "ai", 3.0, 3.0, model=name) for name in named]
    assert found.of(claims, evidence) == expected


def test_what_records_lack_or_contradict_is_found():
    read = trail(
        [
            ModelRecord("A", (("human", 0.5), ("ghost", 0.5)), base="elsewhere", generation=(1, None)),
            ModelRecord("B", (("human", 1.0), ("unknown", None), (ROOT, None))),
            M1,
        ],
        [HUMAN],
    )
    read.problems = (
        "model 'M1': registered with generation 1 to 1, but what it was trained on makes it at least 2",
        "log x: something else",
    )
    found = lineage_findings(read)
    assert found == (
        "model 'A' was trained on 'ghost', which nobody registered",
        "model 'A' was fine-tuned from 'elsewhere', which nobody registered",
        read.problems[0],
    )
    assert lineage_findings(read, {"B"}) == ()
    assert log_lineage(read).believed == {"M1"}
