"""The loader resumes where training was, however far workers had read ahead; streams give the same order."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from genepool.errors import CertificateError
from genepool.integrations import (
    GatedDataset,
    GatedLoader,
    HumanShareSampler,
    huggingface_stream,
    webdataset_stream,
)

torch = pytest.importorskip("torch")


@pytest.fixture
def pictures(shared_set) -> GatedDataset:
    return GatedDataset(shared_set.folder, size=8)


def order(batches) -> list[list[int]]:
    return [batch["index"].tolist() for batch in batches]


@pytest.mark.parametrize("workers", [0, 2])
def test_resumed_order_equals_uninterrupted_order(pictures, workers):
    options = {"seed": 4, "num_workers": workers}
    whole = GatedLoader(pictures, 8, **options)
    expected = order(whole) + order(whole)
    first = GatedLoader(pictures, 8, **options)
    seen = []
    for batch in first:
        seen.append(batch["index"].tolist())
        assert batch["human"].float().mean() >= 0.7
        assert batch["pixel_values"].shape == (len(seen[-1]), 3, 8, 8)
        if len(seen) == 4:
            break
    state = first.state_dict()
    resumed = GatedLoader(pictures, 8, **options)
    resumed.load_state_dict(state)
    assert seen + order(resumed) + order(resumed) == expected
    # The interrupted loader itself goes on where its caller was, too.
    assert order(first) == expected[4 : len(whole)]
    with pytest.raises(CertificateError):
        GatedLoader(pictures, 8, seed=5).load_state_dict(state)


def test_number_of_workers_does_not_change_the_order(pictures):
    assert order(GatedLoader(pictures, 8, seed=1)) == order(GatedLoader(pictures, 8, seed=1, num_workers=2))


def test_a_plain_dataloader_takes_the_sampler(pictures):
    sampler = HumanShareSampler(pictures, 8, seed=1)
    loader = torch.utils.data.DataLoader(pictures, batch_sampler=sampler)
    assert order(loader) == order(GatedLoader(pictures, 8, seed=1))


def test_set_epoch_starts_that_epoch(pictures):
    loader = GatedLoader(pictures, 8, seed=1)
    order(loader)
    second = order(loader)
    loader.set_epoch(1)
    assert order(loader) == second


def test_ranks_as_torch_distributed_says(pictures, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.distributed.init_process_group(
            "gloo", init_method=f"file://{tmp_path / 'meet'}", rank=0, world_size=1
        )
    try:
        sampler = HumanShareSampler(pictures, 8)
    finally:
        torch.distributed.destroy_process_group()
    assert (sampler.rank, sampler.world_size) == (0, 1)


@pytest.mark.parametrize("workers", [0, 2])
def test_webdataset_pipelines(pictures, workers):
    webdataset = pytest.importorskip("webdataset")
    sampler = HumanShareSampler(pictures, 8, seed=2)
    stream = webdataset_stream(pictures, sampler)
    assert isinstance(stream, webdataset.DataPipeline)
    stream = stream.compose(
        webdataset.decode("pil"), webdataset.to_tuple("jpg", "json"), webdataset.batched(8, partial=True)
    )
    loader = torch.utils.data.DataLoader(
        stream, batch_size=None, num_workers=workers, collate_fn=lambda batch: batch
    )
    found = list(loader)
    index = {uri: i for i, uri in enumerate(pictures.uris)}
    got = [[index[facts["uri"]] for facts in batch[1]] for batch in found]
    assert sorted(got) == sorted(HumanShareSampler(pictures, 8, seed=2))
    assert all(np.mean([facts["human"] for facts in batch[1]]) >= 0.7 for batch in found)
    assert found[0][0][0].size == (72, 72)


def test_hugging_face_streams(pictures):
    pytest.importorskip("datasets")
    sampler = HumanShareSampler(pictures, 8, seed=2)
    stream = huggingface_stream(pictures, sampler)
    rows = list(stream)
    index = {uri: i for i, uri in enumerate(pictures.uris)}
    expected = [i for batch in HumanShareSampler(pictures, 8, seed=2) for i in batch]
    assert [index[row["uri"]] for row in rows] == expected
    assert rows[0]["image"].size == (72, 72)
    assert {row["generation"] for row in rows} == {0, 1, 2}
    for batch in stream.batch(8):
        assert np.mean(batch["human"]) >= 0.7
        assert len(set(batch["batch"])) == 1


def test_a_changed_image_stops_a_stream(passed):
    pictures = GatedDataset(passed.folder)
    victim = passed.folder / pictures.uris[10]
    victim.write_bytes(victim.read_bytes()[:-4] + b"\0\0\xff\xd9")
    with pytest.raises(CertificateError, match=pictures.uris[10]):
        list(webdataset_stream(pictures, HumanShareSampler(pictures, 8)))
