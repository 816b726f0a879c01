"""Attesting, looking up, withdrawing, sealing: what counts and what does not."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pytest

from genepool import provenance
from genepool.config import Config
from genepool.errors import LogError, SourceError, UsageError, WorkspaceError
from genepool.provenance import Ledger, OriginReport, Signer, _seal
from genepool.records import OriginClass
from genepool.store import Workspace
from support.ledgers import Images, digest, images, workspace


def report(trail: provenance.Trail, found: Images) -> OriginReport:
    return provenance.report_origins(found, trail)


def as_stranger(monkeypatch: pytest.MonkeyPatch) -> Signer:
    stranger = Signer.generate("stranger")
    monkeypatch.setenv("GENEPOOL_KEY", stranger.text())
    return stranger


# ----------------------------------------------------------------------------------------------- claims


def test_a_registered_folder_is_attested(tmp_path: Path) -> None:
    space = workspace(tmp_path)
    done = provenance.register_human(images(5), space, cohort="paintings", artist="Ada Adams")
    assert (done.n, done.new, done.known, done.generation) == (5, 5, 0, (0, 0))
    assert done.key_created
    trail = provenance.open_trail(space)
    found = images(5)
    for claims in trail.attestations(found.shas, found.pixels):
        (claim,) = claims
        assert (claim.origin, claim.trusted, claim.matched_by) == ("human_made", True, "sha256")
        assert (claim.cohort, claim.artist, claim.generation) == ("paintings", "Ada Adams", (0, 0))
        assert claim.key == done.key
    cohort = trail.cohorts["paintings"]
    assert (cohort.n, cohort.origin, cohort.trusted, cohort.root) == (
        5,
        "human_made",
        True,
        found.root().hex(),
    )


def test_the_same_raster_counts_and_other_images_do_not(tmp_path: Path) -> None:
    space = workspace(tmp_path)
    provenance.register_human(images(2), space, cohort="a")
    trail = provenance.open_trail(space)
    stripped = [digest("stripped 0"), digest("stripped 1")]
    claims = trail.attestations(stripped, images(2).pixels)
    assert [claim.matched_by for (claim,) in claims] == ["pixel", "pixel"]
    assert trail.attestations(stripped, [digest("x"), digest("y")]) == [(), ()]
    # An image that has one claim's bytes and another's raster has both.
    (both,) = trail.attestations(images(2).shas[:1], images(2).pixels[1:])
    assert [claim.matched_by for claim in both] == ["sha256", "pixel"]
    assert trail.attestations([], []) == []


def test_registering_again_adds_nothing(tmp_path: Path) -> None:
    space = workspace(tmp_path)
    first = provenance.register_human(images(3), space, cohort="a")
    again = provenance.register_human(images(3), space, cohort="a")
    assert (again.new, again.known, again.size) == (0, 3, first.size)
    assert not again.key_created
    more = provenance.register_human(images(4), space, cohort="a")
    assert (more.new, more.known) == (1, 3)
    assert provenance.open_trail(space).cohorts["a"].n == 4


def test_files_of_equal_bytes_are_entered_once(tmp_path: Path) -> None:
    twice = Images("/data/x", ["same.png", "same.png", "other.png"])
    done = provenance.register_human(twice, workspace(tmp_path), cohort="a")
    assert (done.n, done.new) == (3, 2)


def test_a_cohort_stands_for_one_kind(tmp_path: Path) -> None:
    space = workspace(tmp_path)
    provenance.register_human(images(2), space, cohort="a")
    provenance.register_human(images(2, "more"), space, cohort="a", origin="captured")
    provenance.register_model(space, "m", [("a", None)])
    with pytest.raises(UsageError, match="--cohort"):
        provenance.register_outputs(images(2, "out"), space, model="m", cohort="a")


def test_an_empty_set_cannot_be_registered(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="found none"):
        provenance.register_human(images(0), workspace(tmp_path), cohort="a")


def test_the_folder_gives_the_name(tmp_path: Path) -> None:
    done = provenance.register_human(images(1, uri="/data/Old Masters"), workspace(tmp_path))
    assert done.name == "Old Masters"


# ------------------------------------------------------------------------------------------------- trust


def test_a_strangers_human_claim_does_not_count_but_ai_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = workspace(tmp_path)
    stranger = as_stranger(monkeypatch)
    provenance.register_human(images(2), space, cohort="human")
    provenance.register_model(space, "m", [("human", None)])
    provenance.register_outputs(images(3, "out"), space, model="m", cohort="out")
    monkeypatch.delenv("GENEPOOL_KEY")
    trail = provenance.open_trail(space)
    ((human,), _) = trail.attestations(images(2).shas, [])
    assert not human.trusted
    assert human.key == stranger.verifier.id
    ((ai,), *_) = trail.attestations(images(3, "out").shas, [])
    assert ai.trusted
    # A stranger's word makes an image AI, but no early generation of it.
    assert ai.generation == (1, None)
    assert trail.models["m"].generation[1] is None
    assert not trail.models["m"].trusted
    found = report(trail, Images("/x", [*images(2).names, *images(3, "out").names]))
    assert (found.n_human, found.n_ai, found.n_untrusted) == (0, 3, 2)
    assert (found.lower, found.upper) == (0.0, pytest.approx(0.4))
    assert any(stranger.verifier.id in problem for problem in trail.problems)
    # Once the policy names the key, both count in full.
    path = tmp_path / "trust.toml"
    path.write_text(f'[[keys]]\nvkey = "{stranger.verifier.vkey}"\n')
    trusting = provenance.open_trail(space, Config().with_(ledger__trust=str(path)))
    assert report(trusting, images(2)).lower == 1.0
    assert trusting.models["m"].generation == (1, 1)


def test_disputed_images_are_neither(tmp_path: Path) -> None:
    space = workspace(tmp_path)
    provenance.register_human(images(4), space, cohort="h")
    provenance.register_model(space, "m", [("unknown", None)])
    provenance.register_outputs(images(1), space, model="m", cohort="o")
    found = report(provenance.open_trail(space), images(4))
    assert found.counts == {"unknown": 0, "human": 3, "ai": 0, "other": 0, "disputed": 1}
    assert (found.lower, found.upper) == (0.75, 1.0)
    assert [asset.state for asset in found].count("disputed") == 1


def test_withdrawn_claims_no_longer_count(tmp_path: Path) -> None:
    space = workspace(tmp_path)
    provenance.register_human(images(3), space, cohort="a")
    assert provenance.withdraw(space, sha256=images(1).shas, reason="not mine") == 1
    trail = provenance.open_trail(space)
    assert [len(claims) for claims in trail.attestations(images(3).shas, [])] == [0, 1, 1]
    assert trail.cohorts["a"].n == 2
    assert provenance.withdraw(space, cohort="a") == 2
    assert "a" not in provenance.open_trail(space).cohorts
    with pytest.raises(UsageError, match="found none"):
        provenance.withdraw(space, cohort="a")
    # It can be said again.
    assert provenance.register_human(images(3), space, cohort="a").new == 3
    assert len(provenance.open_trail(space)) == 3


def test_claims_after_a_revocation_do_not_count(tmp_path: Path) -> None:
    space = workspace(tmp_path)
    provenance.register_human(images(2, "before"), space, cohort="before")
    key = provenance.load_key()
    assert key is not None
    provenance.revoke_key(space, key.signer.verifier.vkey)
    provenance.register_human(images(2, "after"), space, cohort="after")
    trail = provenance.open_trail(space)
    assert trail.attestations(images(1, "before").shas, [])[0][0].trusted
    assert not trail.attestations(images(1, "after").shas, [])[0][0].trusted
    assert any("revoked" in problem for problem in trail.problems)


# ------------------------------------------------------------------------------------------ generations


def test_generations_follow_from_what_a_model_was_trained_on(tmp_path: Path) -> None:
    space = workspace(tmp_path)
    provenance.register_human(images(2), space, cohort="h")
    assert provenance.register_model(space, "m1", [("h", 1.0)]).generation == (1, 1)
    out = provenance.register_outputs(images(2, "o1"), space, model="m1", cohort="o1")
    assert out.generation == (1, 1)
    assert provenance.register_model(space, "m2", [("h", 0.7), ("o1", 0.3)]).generation == (2, 2)
    assert provenance.register_model(space, "m3", [("m2", None)]).generation == (3, 3)
    assert provenance.register_model(space, "fine", [("h", None)], base="m3").generation == (3, 3)
    assert provenance.register_model(space, "mixed", [("o1", 0.5), ("unknown", 0.5)]).generation == (2, None)
    root = images(2).root().hex()
    assert provenance.register_model(space, "by-root", [(root, None)]).generation == (1, 1)
    assert provenance.register_model(space, "far", [("ab" * 32, None)]).generation == (1, None)
    models = provenance.open_trail(space).models
    assert models["m2"].trained_on == (("h", 0.7), ("o1", 0.3))
    assert models["m3"].generation == (3, 3)
    assert models["fine"].base == "m3"
    assert models["by-root"].trained_on == (("h", None),)
    outputs = provenance.register_outputs(images(1, "o3"), space, model="mixed", cohort="o3")
    assert outputs.generation == (2, None)
    assert "unknown" in outputs.notes[0]


def test_a_checked_set_can_be_trained_on_by_its_root(tmp_path: Path) -> None:
    space = workspace(tmp_path)
    found = images(3)
    provenance.seal(space, found, found.origins("synthetic", 1, 2), {"status": "pass"})
    assert provenance.register_model(space, "m", [(found.root().hex(), None)]).generation == (2, 3)


def test_origins_of_many_images_are_sealed_batch_by_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decision = {"status": "fail", "measures": {}}
    twice = Images("/data/set", [*images(7).names, images(1).names[0]])
    logs = []
    for name, together in (("one", 100), ("many", 3)):
        monkeypatch.setattr(_seal, "TOGETHER", together)
        space = workspace(tmp_path, name)
        sealed = provenance.seal(space, twice, twice.origins("synthetic", 1, 1), decision)
        assert (sealed.new, sealed.known) == (7, 0)
        again = provenance.seal(space, twice, twice.origins("synthetic", 1, 1), decision)
        assert (again.new, again.known) == (0, 7)
        changed = provenance.seal(space, twice, twice.origins("synthetic", 2, 2), decision)
        assert (changed.new, changed.known) == (7, 0)
        logs.append((Ledger.open(space.ledger), sealed))
        assert not provenance.open_trail(space).problems
    (one, first), (many, second) = logs
    # Seven images in batches of three: two more seals a time, the decision still the last entry but one.
    assert many.size == one.size + 2 * 2
    assert second.decision == first.decision + 2
    assert orjson.loads(many.entry(second.decision))["kind"] == "decision"


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([], "trained on"),
        ([("hh", None)], "did you mean 'h'"),
        ([("h", 0.7), ("h", 0.7)], "at most 1"),
        ([("h", -0.1)], "from 0 to 1"),
        ([("h", float("nan"))], "from 0 to 1"),
    ],
)
def test_models_that_are_refused(tmp_path: Path, parts: list[tuple[str, float | None]], message: str) -> None:
    space = workspace(tmp_path)
    provenance.register_human(images(1), space, cohort="h")
    with pytest.raises(UsageError) as caught:
        provenance.register_model(space, "m", parts)
    assert message in str(caught.value)
    with pytest.raises(UsageError, match="not registered"):
        provenance.register_outputs(images(1, "o"), space, model="m")
    with pytest.raises(UsageError, match="base model"):
        provenance.register_model(space, "m", [("h", None)], base="nobody")


def test_a_model_retrained_on_its_own_outputs_climbs_under_a_new_name(tmp_path: Path) -> None:
    space = workspace(tmp_path)
    provenance.register_human(images(1), space, cohort="h")
    source = "h"
    for generation in range(1, 5):
        name = f"m{generation}"
        assert provenance.register_model(space, name, [(source, None)]).generation == (generation, generation)
        source = f"o{generation}"
        provenance.register_outputs(images(1, source), space, model=name, cohort=source)
    assert provenance.open_trail(space).models["m4"].generation == (4, 4)
    with pytest.raises(UsageError, match="registered already"):
        provenance.register_model(space, "m1", [("o4", None)])
    assert provenance.open_trail(space).models["m1"].generation == (1, 1)


# -------------------------------------------------------------------------------------------------- seal


def test_a_check_is_recorded_once_and_never_counts_as_a_claim(tmp_path: Path) -> None:
    space = workspace(tmp_path)
    found = images(4)
    decision = {"status": "fail", "measures": {"human_ratio": {"value": 0.5, "lower": 0.25, "n": 4}}}
    first = provenance.seal(space, found, found.origins("human_made", 0, 0), decision)
    assert (first.new, first.known, first.key_created) == (4, 0, True)
    again = provenance.seal(space, found, found.origins("human_made", 0, 0), decision)
    assert (again.new, again.known, again.size) == (0, 4, first.size + 2)
    changed = provenance.seal(space, found, found.origins("synthetic", 1, None), decision)
    assert changed.new == 4
    trail = provenance.open_trail(space)
    assert len(trail) == 0
    assert trail.attestations(found.shas, found.pixels) == [()] * 4
    assert report(trail, found).counts["unknown"] == 4
    ledger = Ledger.open(space.ledger)
    entry = orjson.loads(ledger.entry(first.decision))
    assert entry["summary"]["measures"]["human_ratio"] == {
        "lower": "0.25",
        "n": 4,
        "upper": None,
        "value": "0.5",
    }
    assert {"log", "size", "root"} <= set(changed.to_json())


def test_seal_refuses_the_origins_of_another_set(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="other"):
        provenance.seal(workspace(tmp_path), images(2), images(3).origins(), {"status": "pass"})


def test_an_empty_set_can_be_sealed(tmp_path: Path) -> None:
    none = images(0)
    done = provenance.seal(workspace(tmp_path), none, none.origins(), {"status": "fail"})
    assert done.new == 0


def test_every_checked_image_has_a_proof(tmp_path: Path) -> None:
    space = workspace(tmp_path)
    found = images(5)
    provenance.seal(space, found, found.origins(), {"status": "undecided"})
    ledger = Ledger.open(space.ledger)
    state = provenance.read_log(ledger)
    for sha in found.shas:
        index = provenance.find_entry(state, sha)
        assert index is not None
        proof = ledger.prove(index)
        assert orjson.loads(proof.extra or b"")["sha256"] == sha.hex()
        proof.verify(None, [ledger.verifier])
    assert provenance.find_entry(state, digest("unknown")) is None


# ---------------------------------------------------------------------------------------- which logs


def test_logs_are_found_in_and_around_the_dataset(tmp_path: Path) -> None:
    (tmp_path / "set" / "part" / "deep").mkdir(parents=True)
    places = [
        "set.genepool",
        "set/part.genepool",
        "set/part/deep.genepool",
        "elsewhere.genepool",
        "named.genepool",
    ]
    for number, place in enumerate(places):
        space = Workspace(tmp_path / place).create()
        provenance.register_human(images(1, str(number)), space, cohort=str(number))
    own = Workspace(tmp_path / "set.genepool")
    assert set(provenance.open_trail(own).cohorts) == {"0", "1", "2"}
    own.link(tmp_path / "elsewhere.genepool" / "ledger")
    config = Config().with_(ledger__logs=(str(tmp_path / "named.genepool"),))
    assert set(provenance.open_trail(own, config).cohorts) == {"0", "1", "2", "3", "4"}
    # A part of the set sees what was attested for the whole.
    part = Workspace(tmp_path / "set" / "part.genepool")
    assert set(provenance.open_trail(part).cohorts) == {"0", "1", "2"}
    # A workspace elsewhere finds them when it is told the dataset.
    away = Workspace(tmp_path / "away").create()
    assert len(provenance.open_trail(away).logs) == 0
    assert set(provenance.open_trail(away, dataset=str(tmp_path / "set")).cohorts) == {"0", "1", "2"}


def test_a_damaged_log_anywhere_stops_the_reading(tmp_path: Path) -> None:
    (tmp_path / "set" / "part").mkdir(parents=True)
    space = Workspace(tmp_path / "set" / "part.genepool").create()
    provenance.register_human(images(2), space, cohort="a")
    path = next((space.ledger / "tile" / "0" / "000.p").iterdir())
    path.write_bytes(bytes(len(path.read_bytes())))
    with pytest.raises(LogError, match=r"part\.genepool"):
        provenance.open_trail(Workspace(tmp_path / "set.genepool").create())


def test_logs_that_are_named_but_missing(tmp_path: Path) -> None:
    space = workspace(tmp_path)
    with pytest.raises(WorkspaceError, match=r"ledger\.logs"):
        provenance.open_trail(space, Config().with_(ledger__logs=(str(tmp_path / "gone"),)))
    with pytest.raises(UsageError, match="no file system"):
        provenance.open_trail(space, Config().with_(ledger__logs=("unheard-of://example.org/log",)))
    space.link(tmp_path / "gone")
    with pytest.raises(WorkspaceError, match="link") as caught:
        provenance.open_trail(space)
    assert "links.json" in caught.value.hint


def test_the_nearest_workspace(tmp_path: Path) -> None:
    folder = tmp_path / "set" / "a" / "b"
    folder.mkdir(parents=True)
    assert provenance.nearest_workspace(folder) == tmp_path / "set" / "a" / "b.genepool"
    (tmp_path / "set.genepool").mkdir()
    assert provenance.nearest_workspace(folder) == tmp_path / "set.genepool"
    (tmp_path / "set" / "a.genepool").mkdir()
    assert provenance.nearest_workspace(folder) == tmp_path / "set" / "a.genepool"


def test_a_log_works_at_another_place(tmp_path: Path) -> None:
    space = workspace(tmp_path)
    provenance.register_human(images(2), space, cohort="a", artist="Ada")
    shutil.move(space.root, tmp_path / "moved.genepool")
    moved = Workspace(tmp_path / "moved.genepool")
    (claim,) = provenance.open_trail(moved).attestations(images(1).shas, [])[0]
    assert (claim.trusted, claim.artist) == (True, "Ada")
    provenance.register_human(images(3), moved, cohort="a")


# ------------------------------------------------------------------------------------------------ report


def test_the_report_reads_like_a_sequence(tmp_path: Path) -> None:
    space = workspace(tmp_path)
    provenance.register_human(images(3), space, cohort="a")
    found = report(provenance.open_trail(space), images(4))
    assert len(found) == 4
    assert [asset.state for asset in found] == ["human", "human", "human", "unknown"]
    assert found[-1].attestation is None
    assert found[0].attestation is not None
    assert found[0].attestation.cohort == "a"
    with pytest.raises(IndexError):
        found[4]
    assert repr(found) == "OriginReport(n=4: 1 unknown, 3 human; human share in [0.750, 1.000])"
    table = found.table()
    assert table.num_rows == 4
    assert table["state"].to_pylist() == ["human", "human", "human", "unknown"]
    assert table["lo"].to_pylist() == [0, 0, 0, None]
    assert orjson.dumps(found.to_json())
    assert found.cohorts("human") == {"a": 3}
    empty = report(provenance.open_trail(space), images(0))
    assert (empty.lower, empty.upper, len(empty), list(empty)) == (0.0, 1.0, 0, [])


def test_look_up_is_exact_for_digests_that_share_a_prefix(tmp_path: Path) -> None:
    space = workspace(tmp_path)

    class Near(Images):
        @property
        def shas(self) -> list[bytes]:
            return [bytes(31) + bytes([i]) for i in range(self.n)]

    near = Near("/x", [str(i) for i in range(20)])
    provenance.register_human(near, space, cohort="a")
    trail = provenance.open_trail(space)
    claims = trail.attestations([*near.shas, bytes(31) + b"\xff"], [])
    assert [len(c) for c in claims] == [1] * 20 + [0]
    assert len({c[0].index for c in claims[:20]}) == 20
    rng = np.random.default_rng(0)
    shuffled = rng.permutation(20)
    again = trail.attestations([near.shas[i] for i in shuffled], [])
    assert [c[0].index for c in again] == [claims[i][0].index for i in shuffled]


def test_all_classes_fit_the_record(tmp_path: Path) -> None:
    space = workspace(tmp_path)
    for number, origin in enumerate(OriginClass):
        found = images(1, origin.value)
        provenance.seal(space, found, found.origins(origin.value, number, None), {"status": "pass"})
    table = images(2).origins()
    broken = table.set_column(table.schema.get_field_index("origin"), "origin", pa.array(["divine"] * 2))
    with pytest.raises(UsageError, match="'divine'"):
        provenance.seal(space, images(2), broken, {"status": "pass"})


def test_the_search_for_logs_is_bounded_and_says_so(tmp_path: Path) -> None:
    deep = tmp_path / "set" / "/".join("abcdefghij")
    deep.mkdir(parents=True)
    provenance.register_human(images(1), Workspace(deep / "x.genepool").create(), cohort="deep")
    trail = provenance.open_trail(workspace(tmp_path))
    assert not trail.cohorts
    assert any("levels" in problem for problem in trail.problems)
