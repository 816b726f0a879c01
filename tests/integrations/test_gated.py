"""Only what was approved is trained on, and every image is proven to be it as it is read."""

from __future__ import annotations

import builtins
import dataclasses
import os
import pickle

import numpy as np
import pytest
from PIL import Image

import genepool
from genepool import dataset, gate, provenance, scan, store
from genepool.errors import (
    CertificateError,
    GateError,
    InsufficientHumanContent,
    MissingExtra,
    PolicyError,
    UsageError,
    WorkspaceError,
)
from genepool.integrations import GatedDataset, GatedLoader, HumanShareSampler
from support.galleries import computed, shards, write

HUMAN, FIRST, SECOND = 72, 12, 8  # as in conftest.py
TOTAL = HUMAN + FIRST + SECOND


def change(path):
    """Other pixels, same size of file and same times: only the digest can tell."""
    data = bytearray(path.read_bytes())
    stat = path.stat()
    data[len(data) // 2] ^= 0x10
    path.write_bytes(data)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_items_and_their_standing(shared_set):
    pictures = GatedDataset(shared_set.folder, size=32)
    assert len(pictures) == TOTAL
    assert pictures.human.sum() == HUMAN
    assert np.bincount(pictures.generation).tolist() == [HUMAN, FIRST, SECOND]
    assert pictures.share == 0.7
    assert pictures.root == shared_set.decision.root
    first = pictures[pictures.uris.index("human/h000.jpg")]
    assert first["pixel_values"].shape == (3, 32, 32)
    assert first["pixel_values"].dtype == np.float32
    assert -1 <= first["pixel_values"].min() < first["pixel_values"].max() <= 1
    assert (first["caption"], first["human"]) == ("a person's picture", True)
    assert pictures[-1]["index"] == TOTAL - 1
    with pytest.raises(IndexError):
        pictures[TOTAL]


def test_transforms_get_the_picture(shared_set):
    pictures = GatedDataset(shared_set.folder, transform=lambda image: image.size)
    assert pictures[0]["pixel_values"] == (72, 72)
    assert GatedDataset(shared_set.folder)[0]["pixel_values"].shape == (3, 72, 72)
    assert GatedDataset(shared_set.folder, size=100)[0]["pixel_values"].shape == (3, 100, 100)


def test_batches_in_the_order_asked_with_repeats(shared_set):
    pictures = GatedDataset(shared_set.folder, size=8)
    batch = pictures.__getitems__([7, 3, 7])
    assert [item["index"] for item in batch] == [7, 3, 7]
    assert batch[0] is not batch[2]


def test_it_goes_to_workers_without_what_approved_it(shared_set):
    pictures = GatedDataset(shared_set.folder, size=8)
    copy = pickle.loads(pickle.dumps(pictures))
    assert np.array_equal(copy[5]["pixel_values"], pictures[5]["pixel_values"])
    with pytest.raises(UsageError, match="worker"):
        _ = copy.approved


def test_a_changed_image_in_the_middle_of_an_epoch_stops_training_and_is_named(passed):
    torch_data = pytest.importorskip("torch.utils.data")
    pictures = GatedDataset(passed.folder, size=16)
    for workers in (0, 2):
        loader = GatedLoader(pictures, 10, seed=1, num_workers=workers)
        assert isinstance(loader.loader, torch_data.DataLoader)
        order = [index for batch in loader.sampler.batches(0) for index in batch]
        victim = pictures.uris[order[85]]
        seen = 0
        batches = iter(loader)
        for _ in range(2):
            seen += len(next(batches)["index"])
        change(passed.folder / victim)
        with pytest.raises(CertificateError) as caught:  # noqa: PT012  # how far it comes is looked at below
            for batch in batches:
                seen += len(batch["index"])
        assert victim in str(caught.value)
        assert "changed after the check" in str(caught.value)
        assert seen <= 80
        change(passed.folder / victim)  # and back


def test_a_vanished_image_is_named(passed):
    pictures = GatedDataset(passed.folder)
    (passed.folder / pictures.uris[3]).unlink()
    with pytest.raises(CertificateError, match=pictures.uris[3]):
        pictures[3]


def test_data_that_changed_since_the_check_are_refused(passed):
    write(passed.folder / "late", computed(1, seed=9), "l")
    with pytest.raises(CertificateError, match=f"expected the {TOTAL} images .* found {TOTAL + 1} images"):
        GatedDataset(passed.folder)


def test_the_decision_of_another_dataset_is_refused(passed, tmp_path):
    other = tmp_path / "other"
    write(other, computed(6, seed=4), "o")
    with pytest.raises(WorkspaceError, match="holds no decision yet"):
        GatedDataset(other)
    decision = gate.load_decision(passed.space)
    with pytest.raises(CertificateError, match="that the decision is about"):
        GatedDataset(other, decision)


def test_a_decision_as_json_must_be_about_these_data(passed, tmp_path):
    import orjson

    decision = gate.load_decision(passed.space)
    paper = tmp_path / "decision.json"
    paper.write_bytes(orjson.dumps(decision.to_json()))
    assert len(GatedDataset(passed.folder, paper)) == TOTAL
    paper.write_bytes(orjson.dumps(dataclasses.replace(decision, root="ab" * 32).to_json()))
    with pytest.raises(CertificateError, match="that the certificate is about"):
        GatedDataset(passed.folder, paper)
    failed = dataclasses.replace(decision, status="fail")
    paper.write_bytes(orjson.dumps(failed.to_json()))
    with pytest.raises(GateError, match="status fail"):
        GatedDataset(passed.folder, paper)
    for text in (b"{}", b"[1]", b"no"):
        paper.write_bytes(text)
        with pytest.raises(CertificateError):
            GatedDataset(passed.folder, paper)
    with pytest.raises(WorkspaceError, match="nothing readable"):
        GatedDataset(passed.folder, tmp_path / "none.json")
    with pytest.raises(CertificateError, match="expected a Decision"):
        GatedDataset(passed.folder, 7)


def test_a_certificate_is_verified_and_must_be_about_these_data(passed, tmp_path, monkeypatch):
    paper = passed.space.root / "certificate.genepool"
    assert len(GatedDataset(passed.folder, paper)) == TOTAL
    # Without the workspace's decision the certificate is enough, as long as nothing was set aside.
    (passed.space.root / "decision.json").unlink()
    assert len(GatedDataset(passed.folder, paper)) == TOTAL
    other = tmp_path / "other"
    write(other, computed(6, seed=4), "o")
    with pytest.raises(CertificateError, match=f"expected the {TOTAL} images .* certificate"):
        GatedDataset(other, paper)
    spoiled = tmp_path / "spoiled.genepool"
    spoiled.write_bytes(paper.read_bytes().replace(b'"status":"pass"', b'"status":"fail"', 1))
    with pytest.raises(CertificateError):
        GatedDataset(passed.folder, spoiled)
    # A stranger's certificate: the trust policy of another user does not know the key.
    monkeypatch.setenv("GENEPOOL_HOME", str(tmp_path / "stranger"))
    with pytest.raises(CertificateError):
        GatedDataset(passed.folder, paper)


def test_a_decision_that_is_no_pass_is_refused(passed):
    decision = gate.load_decision(passed.space)
    with pytest.raises(GateError, match="not approved"):
        GatedDataset(passed.folder, dataclasses.replace(decision, status="fail"))
    for path in (passed.folder / "human").glob("h0[0-5]*"):
        path.unlink()
    assert not genepool.check(passed.folder)
    with pytest.raises(InsufficientHumanContent, match="GP101"):
        GatedDataset(passed.folder)


def test_images_that_were_set_aside_are_not_trained_on(passed, photos):
    """Outputs of a model of unknown ancestry: excluded by the gate, so never drawn."""
    write(passed.folder / "stray", computed(5, seed=11, side=72), "s")
    opened = dataset.open(passed.folder)
    catalogue = scan.scan(opened, passed.space)
    uris = [u for u in catalogue.table(["uri"]).column("uri").to_pylist() if u.startswith("stray")]
    provenance.register_model(passed.space, "wild", [("unknown", None)])
    provenance.register_outputs(catalogue.select(uris), passed.space, model="wild", cohort="strays")
    decision = genepool.check(opened)
    assert decision, decision.failures
    pictures = GatedDataset(passed.folder)
    assert len(pictures) == TOTAL
    assert not any(uri.startswith("stray") for uri in pictures.uris)
    # Without the record of which they were, the approved root cannot be met.
    with pytest.raises(CertificateError, match="approved images"):
        GatedDataset(passed.folder, dataclasses.replace(decision, set_aside=()))


def test_an_unreadable_file_beside_is_no_hindrance(passed):
    (passed.folder / "broken.jpg").write_bytes(b"\xff\xd8\xff broken")
    assert genepool.check(passed.folder)
    assert len(GatedDataset(passed.folder)) == TOTAL


def test_weights_of_generations_and_duplicates(shared_set):
    pictures = GatedDataset(shared_set.folder, generation_weights={2: 0.25, 1: 0.5}, balance_duplicates=True)
    by = [pictures.weights[pictures.generation == g].max() for g in range(3)]
    assert by == [1.0, 0.5, 0.25]
    named = GatedDataset(shared_set.folder, weights={pictures.uris[0]: 3.0})
    assert named.weights[0] == 3.0
    assert named.weights[1:].max() == 1.0
    for bad in ({"nobody.jpg": 1.0}, [1.0], {pictures.uris[0]: float("nan")}):
        with pytest.raises(UsageError, match="weights"):
            GatedDataset(shared_set.folder, weights=bad)
    with pytest.raises(UsageError, match="generation weights"):
        GatedDataset(shared_set.folder, generation_weights={0: 1.0})


def test_near_duplicates_share_one_weight(passed):
    with Image.open(passed.folder / "human" / "h001.jpg") as image:
        image.save(passed.folder / "human" / "h001-again.jpg", quality=85)
    opened = dataset.open(passed.folder)
    catalogue = scan.scan(opened, passed.space)
    provenance.register_human(catalogue.select(["human/h001-again.jpg"]), passed.space, cohort="again")
    assert genepool.check(opened)
    pictures = GatedDataset(passed.folder, balance_duplicates=True)
    weights = dict(zip(pictures.uris, pictures.weights, strict=True))
    assert weights["human/h001.jpg"] == weights["human/h001-again.jpg"] == 0.5


def test_the_share_cannot_be_set_below_the_policys(shared_set):
    pictures = GatedDataset(shared_set.folder)
    with pytest.raises(PolicyError, match=r"at least the policy's 0\.7"):
        HumanShareSampler(pictures, 10, share=0.5)
    sampler = HumanShareSampler(pictures, 10, share=0.9)
    assert all(pictures.human[batch].sum() >= 9 for batch in sampler)


@pytest.mark.parametrize("kind", ["tar", "parquet", "huggingface"])
def test_other_kinds_of_datasets(shared_set, tmp_path, kind):
    """The same pictures in containers, checked there with the same log."""
    if kind == "tar":
        data = shards(shared_set.folder, tmp_path / "shards")
    elif kind == "parquet":
        genepool.open(shared_set.folder)
        dataset.export(dataset.open(shared_set.folder), None, tmp_path / "table", format="parquet")
        data = tmp_path / "table"
    else:
        datasets = pytest.importorskip("datasets")
        rows = [{"bytes": p.read_bytes(), "path": None} for p in sorted(shared_set.folder.rglob("*.jpg"))]
        features = datasets.Features({"image": datasets.Image()})
        data = datasets.Dataset.from_dict({"image": rows}, features=features)
    space = store.Workspace(tmp_path / "other.genepool").create()
    space.link(shared_set.space.ledger)
    opened = dataset.open(data, workspace=str(space.root))
    assert genepool.check(opened, record=True)
    pictures = GatedDataset(opened, size=16)
    assert len(pictures) == TOTAL
    assert pictures.human.sum() == HUMAN
    seen = [i for batch in HumanShareSampler(pictures, 10) for i in batch]
    items = pictures.__getitems__(seen[:25])
    assert [item["index"] for item in items] == seen[:25]


def test_without_torch_it_says_what_to_install(shared_set, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.split(".")[0] in ("torch", "transformers", "webdataset", "datasets"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    pictures = GatedDataset(shared_set.folder, size=8)
    sampler = HumanShareSampler(pictures, 10)
    monkeypatch.setattr(builtins, "__import__", without)
    from genepool import integrations
    from genepool.lab import PictureVAE

    for call in (
        lambda: GatedLoader(pictures, 10),
        lambda: integrations.webdataset_stream(pictures, sampler),
        lambda: integrations.huggingface_stream(pictures, sampler),
        lambda: integrations.registration_callback(None),
        PictureVAE,
    ):
        with pytest.raises(MissingExtra, match="not installed") as caught:
            call()
        assert "pip install" in caught.value.hint
    # Dataset and sampler need none of them.
    assert len(list(sampler)) > 0
    assert pictures[0]["pixel_values"].shape == (3, 8, 8)
