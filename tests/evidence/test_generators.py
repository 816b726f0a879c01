"""Generator parameters: the whole grammar counts, a word does not."""

from __future__ import annotations

import json

import pytest

from genepool.evidence import read_evidence
from support import marks as m

PROMPT = {
    "3": {
        "class_type": "KSampler",
        "inputs": {"seed": 42, "steps": 20, "sampler_name": "euler", "model": ["4", 0]},
    },
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "dream.safetensors"}},
    "9": {"class_type": "SaveImage", "inputs": {"images": ["3", 0]}, "is_changed": [float("nan")]},
}
WORKFLOW = {
    "nodes": [
        {
            "id": 3,
            "type": "KSampler",
            "mode": 0,
            "widgets_values": [42, "randomize", 20, 7, "euler", "normal", 1],
        },
        {"id": 4, "type": "CheckpointLoaderSimple", "mode": 0, "widgets_values": ["dream.safetensors"]},
    ],
    "links": [[1, 4, 0, 3, 0, "MODEL"]],
}
FOOOCUS = {
    "base_model": "juggernautXL.safetensors",
    "steps": 30,
    "seed": "7717",
    "prompt": "a pine",
    "metadata_scheme": "fooocus",
}
NOVELAI = {"prompt": "a pine", "steps": 28, "seed": 123, "sampler": "k_euler", "scale": 5.0}
INVOKE = {
    "positive_prompt": "a pine",
    "seed": 5,
    "steps": 30,
    "cfg_scale": 7.5,
    "model": {"name": "Juggernaut"},
    "app_version": "4",
}
INVOKE_OLD = {
    "model": "stable diffusion",
    "model_weights": "sd-1.5",
    "image": {"prompt": "a pine", "steps": 50, "seed": 9},
}


def one(data: bytes):
    (item,) = read_evidence(data).evidence
    assert (item.kind, item.claim, item.origin, item.weight, item.hard) == (
        "generator",
        "ai",
        "synthetic",
        3.0,
        False,
    )
    return item


@pytest.mark.parametrize(
    ("texts", "model", "words"),
    [
        ({"parameters": m.A1111}, "v1-5-pruned", "steps 28, seed 2871234"),
        ({"prompt": json.dumps(PROMPT)}, "dream.safetensors", "ComfyUI parameters (steps 20, seed 42)"),
        ({"workflow": json.dumps(WORKFLOW)}, "dream.safetensors", "ComfyUI"),
        ({"prompt": json.dumps(PROMPT), "workflow": json.dumps(WORKFLOW)}, "dream.safetensors", "seed 42"),
        (
            {"parameters": json.dumps(FOOOCUS), "fooocus_scheme": "fooocus"},
            "juggernautXL.safetensors",
            "Fooocus",
        ),
        ({"parameters": m.A1111, "fooocus_scheme": "a1111"}, "v1-5-pruned", "Fooocus"),
        (
            {"Software": "NovelAI", "Comment": json.dumps(NOVELAI), "Source": "Stable Diffusion 1D44"},
            "Stable Diffusion 1D44",
            "seed 123",
        ),
        ({"invokeai_metadata": json.dumps(INVOKE)}, "Juggernaut", "InvokeAI parameters (steps 30, seed 5)"),
        ({"sd-metadata": json.dumps(INVOKE_OLD)}, "sd-1.5", "InvokeAI parameters (steps 50, seed 9)"),
        (
            {"Dream": '"a \\"pine\\", oil" -s 50 -S1234 -W 512 -H 512 -C 7.5 -A k_lms'},
            "InvokeAI",
            "steps 50, seed 1234",
        ),
        ({"Dream": '"a pine" -s50 -S 77 --grid', "sd-metadata": json.dumps(INVOKE_OLD)}, "sd-1.5", "seed 9"),
    ],
)
def test_every_generator(texts, model, words):
    item = one(m.png(**texts))
    assert item.model == model
    assert words in item.detail


def test_comfyui_in_exif_of_its_webp_writer():
    block = m.exif(
        {0x0110: "prompt:" + json.dumps(PROMPT), 0x010F: "workflow:" + json.dumps(WORKFLOW)}, {0x8827: 1}
    )
    item = one(m.encode("WEBP", exif=block))
    assert item.reference == "EXIF Model"


def test_fooocus_in_exif():
    comment = b"\0" * 8 + json.dumps(FOOOCUS).encode()
    item = one(m.encode("JPEG", exif=m.exif({}, {0x9286: comment, 0x927C: b"fooocus"})))
    assert item.model == "juggernautXL.safetensors"


@pytest.mark.parametrize(
    "texts",
    [
        {"parameters": "painted after a Stable Diffusion course, Midjourney, ComfyUI"},
        {"parameters": "Steps: many, Sampler: none, Seed: 1"},
        {"parameters": "Steps: 3"},
        {"parameters": "My recipe\nSteps: 12, Flour: 300 g, Oven: 200"},
        {"Comment": m.A1111},
        {"parameters": json.dumps(FOOOCUS | {"metadata_scheme": "mine"})},
        {"parameters": json.dumps({"fooocus": True}), "fooocus_scheme": "fooocus"},
        {"prompt": "a lighthouse, KSampler, ckpt_name"},
        {"prompt": json.dumps({"a": 1, "class_type": "KSampler"})},
        {"prompt": json.dumps(PROMPT | {"note": "text"})},
        {"prompt": json.dumps([PROMPT])},
        {"workflow": json.dumps({"nodes": []})},
        {"workflow": json.dumps({"nodes": [{"type": "KSampler"}], "links": []})},
        {"Software": "NovelAI"},
        {"Software": "NovelAI", "Comment": "drawn by hand, steps and seed"},
        {"Software": "Adobe", "Comment": json.dumps(NOVELAI)},
        {"invokeai_metadata": json.dumps({"seed": 5})},
        {"invokeai_metadata": json.dumps({"note": "InvokeAI"})},
        {"sd-metadata": json.dumps({"image": {"steps": "some", "seed": 1}})},
        {"Dream": "I had a dream -s -S"},
        {"Dream": '"a dream" of -s 50 -S 3'},
    ],
)
def test_words_are_no_parameters(texts):
    assert m.claims(read_evidence(m.png(**texts))) == []


def test_a_graph_that_only_handles_a_photograph_is_a_note():
    graph = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "holiday.jpg"}},
        "2": {"class_type": "ImageScale", "inputs": {"image": ["1", 0], "width": 512}},
        "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0]}},
    }
    found = read_evidence(m.png(prompt=json.dumps(graph)))
    assert m.claims(found) == []
    assert found.notes == ("ComfyUI graph of 3 nodes, none of which generates",)


def test_muted_and_nested_nodes():
    muted = {
        "nodes": [{"id": 1, "type": "KSampler", "mode": 2}, {"id": 2, "type": "LoadImage", "mode": 0}],
        "links": [],
    }
    assert m.claims(read_evidence(m.png(workflow=json.dumps(muted)))) == []
    nested = {
        "nodes": [{"id": 1, "type": "5ad1c1a0-0000-4000-8000-000000000000"}],
        "links": [],
        "definitions": {"subgraphs": [{"nodes": [{"id": 7, "type": "KSampler"}]}]},
    }
    assert m.claims(read_evidence(m.png(workflow=json.dumps(nested)))) == [("generator", "ai")]


def test_names_from_a_file_are_fit_for_a_catalogue():
    graph = json.dumps(PROMPT).replace("dream.safetensors", "dr\\ud800eam\\u0000\\n" + "x" * 5000)
    item = one(m.png(prompt=graph))
    assert len(item.model) <= 200
    item.model.encode("utf-8")
    assert item.model.isprintable()
