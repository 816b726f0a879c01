"""Real `transformers` and `diffusers` classes with small random weights carry the callbacks."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from genepool import dataset, origin, provenance, scan
from genepool.config import Config
from genepool.errors import MeasureError, UsageError
from genepool.integrations import (
    GatedDataset,
    GatedLoader,
    OutputFolder,
    RegisteredPipeline,
    TrainingRun,
    monitor_callback,
    registration_callback,
    use_loader,
)
from support.galleries import computed, write

torch = pytest.importorskip("torch")
# Their own warnings at import are none of ours.
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    transformers = pytest.importorskip("transformers")
    diffusers = pytest.importorskip("diffusers")

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def collate(items):
    pixels = torch.as_tensor(np.stack([item["pixel_values"] for item in items]))
    return {"pixel_values": pixels, "labels": torch.tensor([int(item["human"]) for item in items])}


class Recorder(GatedDataset):
    """Notes what was read, batch by batch."""

    def __getitems__(self, indices):
        self.__dict__.setdefault("asked", []).append(list(indices))
        return super().__getitems__(indices)


def vit():
    config = transformers.ViTConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=16,
        patch_size=8,
        num_labels=2,
    )
    torch.manual_seed(0)
    return transformers.ViTForImageClassification(config)


def trainer(folder, out, *, steps, callbacks=(), save=0):
    pictures = Recorder(folder, size=16)
    loader = GatedLoader(pictures, 16, seed=3, collate_fn=collate)
    arguments = transformers.TrainingArguments(
        output_dir=str(out),
        max_steps=steps,
        per_device_train_batch_size=16,
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        save_strategy="steps" if save else "no",
        save_steps=save or 500,
    )
    made = transformers.Trainer(vit(), arguments, callbacks=list(callbacks), train_dataset=pictures)
    return use_loader(made, loader), pictures


def test_a_trainer_trains_on_gated_batches_and_registers_its_model(passed, tmp_path):
    made, pictures = trainer(passed.folder, tmp_path / "out", steps=7)
    run = TrainingRun(pictures, "vit-tiny")
    made.add_callback(registration_callback(run))
    made.train()
    assert len(pictures.asked) >= 7
    assert all(pictures.human[batch].mean() >= 0.7 for batch in pictures.asked)
    # The set holds second-generation pictures: what this model makes is of the third.
    assert run.registration.generation == (3, 3)
    models = provenance.open_trail(passed.space, Config()).models
    assert models["vit-tiny"].trained_on == ((pictures.root, 1.0),)


def test_a_resumed_trainer_goes_on_in_the_same_order(passed, tmp_path):
    whole, seen = trainer(passed.folder, tmp_path / "whole", steps=9)
    whole.train()
    first, before = trainer(passed.folder, tmp_path / "out", steps=9, save=8)
    first.train()
    assert before.asked[:9] == seen.asked[:9]
    second, after = trainer(passed.folder, tmp_path / "out", steps=9, save=8)
    second.train(resume_from_checkpoint=str(tmp_path / "out" / "checkpoint-8"))
    assert after.asked[0] == seen.asked[8]


class Alarm:
    """Stands where a `CollapseMonitor` does: says stop at a step."""

    def __init__(self, at):
        self.at, self.steps = at, []

    def step(self, step):
        self.steps.append(step)
        return step >= self.at


def test_a_trainer_stops_when_the_monitor_says_so(passed, tmp_path):
    alarm = Alarm(3)
    made, _ = trainer(passed.folder, tmp_path / "out", steps=20, callbacks=[monitor_callback(alarm)])
    made.train()
    assert alarm.steps == [1, 2, 3]
    assert made.state.global_step == 3


def test_a_run_that_fails_registers_nothing(passed):
    pictures = GatedDataset(passed.folder)
    with pytest.raises(ZeroDivisionError), TrainingRun(pictures, "broken") as run:
        _ = 1 / 0
    assert run.registration is None
    assert "broken" not in provenance.open_trail(passed.space, Config()).models


def test_a_fine_tuned_model_is_at_least_of_its_bases_generation(passed):
    pictures = GatedDataset(passed.folder)
    run = TrainingRun(pictures, "tuned", base="unknown")
    assert run.finish().generation == (3, None)
    assert run.finish() is run.registration  # once


def test_only_what_was_approved_counts_for_the_generation(passed):
    """Pictures of unknown ancestry beside the set were set aside: the model has not seen them."""
    import genepool

    write(passed.folder / "stray", computed(5, seed=11, side=72), "s")
    opened = dataset.open(passed.folder)
    catalogue = scan.scan(opened, passed.space)
    uris = [u for u in catalogue.table(["uri"]).column("uri").to_pylist() if u.startswith("stray")]
    provenance.register_model(passed.space, "wild", [("unknown", None)])
    provenance.register_outputs(catalogue.select(uris), passed.space, model="wild", cohort="strays")
    assert genepool.check(opened)
    certificate = (passed.space.root / "certificate.genepool").read_bytes()
    with TrainingRun(GatedDataset(opened), "clean") as run:
        pass
    assert run.registration.generation == (3, 3)
    # The certificate is still the one of the whole set.
    assert (passed.space.root / "certificate.genepool").read_bytes() == certificate
    with TrainingRun(GatedDataset(opened, passed.space.root / "certificate.genepool"), "again") as run:
        pass
    assert run.registration.generation == (3, 3)


def pipeline():
    torch.manual_seed(0)
    unet = diffusers.UNet2DModel(
        sample_size=16,
        layers_per_block=1,
        block_out_channels=(8, 8),
        norm_num_groups=4,
        down_block_types=("DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
    )
    made = diffusers.DDPMPipeline(unet, diffusers.DDPMScheduler(num_train_timesteps=10))
    made.set_progress_bar_config(disable=True)
    return made


def test_what_a_diffusers_pipeline_makes_is_registered_and_found_without_metadata(passed, tmp_path):
    pictures = GatedDataset(passed.folder, size=16)
    pipe = pipeline()
    optimizer = torch.optim.SGD(pipe.unet.parameters(), 1e-3)
    with TrainingRun(pictures, "ddpm-tiny"):
        for batch in GatedLoader(pictures, 16, seed=1):
            noise = torch.randn_like(batch["pixel_values"])
            steps = torch.randint(0, 10, (len(noise),))
            noisy = pipe.scheduler.add_noise(batch["pixel_values"], noise, steps)
            loss = ((pipe.unet(noisy, steps).sample - noise) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    folder = tmp_path / "made"
    with OutputFolder(folder, "ddpm-tiny", workspace=passed.space) as outputs:
        registered = RegisteredPipeline(pipe, outputs)
        assert registered.unet is pipe.unet
        shown = registered(batch_size=3, num_inference_steps=2)
        assert len(shown.images) == 3
        assert len(registered(batch_size=2, num_inference_steps=2, return_dict=False)[0]) == 2
    assert outputs.registration.new == 5
    assert outputs.registration.generation == (3, 3)

    # Somebody keeps the pixels and drops the file around them.
    from PIL import Image

    bare = tmp_path / "bare"
    bare.mkdir()
    for i, image in enumerate(shown.images):
        Image.fromarray(np.asarray(image)).save(bare / f"{i}.png")
    opened = dataset.open(bare, workspace=str(passed.space.root))
    config = Config()
    found = origin.settle(scan.scan(opened, passed.space, config=config), passed.space, config).to_pylist()
    assert [(row["origin"], row["lo"], row["hi"], row["model"]) for row in found] == [
        ("synthetic", 3, 3, "ddpm-tiny")
    ] * 3

    # More outputs of another day go on where the numbers stopped.
    with OutputFolder(folder, "ddpm-tiny", workspace=passed.space) as outputs:
        assert [path.name for path in outputs.add(np.zeros((1, 16, 16, 3), np.uint8))] == [
            "ddpm-tiny-000005.png"
        ]
    assert (outputs.registration.new, outputs.registration.known) == (1, 5)


def test_outputs_need_a_registered_model_and_pictures(passed, tmp_path):
    with pytest.raises(UsageError, match="expected a registered one, found"):
        OutputFolder(tmp_path / "x", "nobody", workspace=passed.space)
    outputs = OutputFolder(tmp_path / "x", "one", workspace=passed.space)

    def latents(**_):
        return (np.zeros((2, 4, 8, 8)),)

    with pytest.raises(MeasureError, match="expected"):
        RegisteredPipeline(latents, outputs)()
    with OutputFolder(tmp_path / "x", "one", workspace=passed.space) as outputs:
        pass  # nothing made, nothing registered
    assert outputs.registration is None
