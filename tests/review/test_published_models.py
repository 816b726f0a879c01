"""Published preference models: pinned, checked, in a column of their own, never in people's score."""

from __future__ import annotations

import hashlib
import json
import math

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

from genepool import plugins, review
from genepool.errors import IntegrityError, PluginError, SourceError, UsageError
from genepool.review import OnnxPreference, TransformersPreference
from genepool.review._plugged_onnx import fitted
from genepool.store import ReviewRecord, Vote, Workspace
from genepool.testing import assert_preference, check_preference
from support.scans import encoded, picture


def sharpness(path, *, side=32, batch="n", meta=None):
    """A real model: the mean absolute difference between neighbouring rows; a blurred picture has less."""
    slices = {
        "zero": [0],
        "one": [1],
        "last": [side - 1],
        "side": [side],
        "axis": [2],
    }
    nodes = [
        helper.make_node("Slice", ["pixels", "one", "side", "axis"], ["low"]),
        helper.make_node("Slice", ["pixels", "zero", "last", "axis"], ["high"]),
        helper.make_node("Sub", ["low", "high"], ["step"]),
        helper.make_node("Abs", ["step"], ["size"]),
        helper.make_node("ReduceMean", ["size"], ["score"], axes=[1, 2, 3], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "sharpness",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [batch, 3, side, side])],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, None)],
        [helper.make_tensor(name, TensorProto.INT64, [1], value) for name, value in slices.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    made.ir_version = 9
    if meta:
        helper.set_model_props(made, meta)
    onnx.save(made, path)
    return path


def expected(pixels, side=32):
    """The same number, computed here."""
    held = fitted(pixels, side).astype(np.float64) / 255
    return float(np.abs(np.diff(held, axis=0)).mean())


def test_any_onnx_file_gives_the_number_of_its_graph(tmp_path):
    path = sharpness(tmp_path / "sharp.onnx")
    model = plugins.create("preferences", f"onnx:{path}")
    assert model.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert_preference(model)
    pixels = np.asarray(picture(3, 90))
    assert model.score(pixels) == pytest.approx(expected(pixels), abs=1e-6)
    fixed = OnnxPreference(str(sharpness(tmp_path / "two.onnx", batch=2, meta={"genepool.fit": "squash"})))
    assert_preference(fixed)
    assert fixed.score(pixels) != model.score(pixels) or pixels.shape[0] == pixels.shape[1]
    scaled = OnnxPreference(f"{path}#std=0.5,0.5,0.5&mean=0.1,0.2,0.3")
    assert scaled.score(pixels) == pytest.approx(2 * model.score(pixels), rel=1e-4)


def test_a_model_is_pinned_and_frozen(tmp_path):
    path = sharpness(tmp_path / "sharp.onnx")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    space = Workspace(tmp_path / "ws").create()
    review.open_preference_model(f"onnx:{path}#sha256={digest}", space)
    review.open_preference_model(f"onnx:{path}", space)
    with pytest.raises(IntegrityError, match="expected sha256"):
        review.open_preference_model(f"onnx:{path}#sha256={'0' * 64}", space)
    model = review.open_preference_model(f"onnx:{path}", space)
    sharpness(path, side=16)
    with pytest.raises(IntegrityError, match="as at first"):
        review.open_preference_model(f"onnx:{path}", space)
    with pytest.raises(IntegrityError, match="expected sha256"):
        model.prepare()  # changed between opening and loading


@pytest.mark.parametrize(
    ("argument", "error", "text"),
    [
        ("", UsageError, "expected PLACE"),
        ("x.onnx#colour=red", UsageError, "expected PLACE"),
        ("nothing.onnx", SourceError, "cannot be read"),
    ],
)
def test_wrong_names_are_refused(tmp_path, monkeypatch, argument, error, text):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=text):
        OnnxPreference(argument)


def test_files_that_are_no_model_are_named(tmp_path):
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"no model")
    with pytest.raises(PluginError, match="can load"):
        OnnxPreference(str(bad)).prepare()
    path = sharpness(tmp_path / "sharp.onnx")
    for option, text in (("index=3", "column 3"), ("std=0,1,1", "std above 0"), ("mean=1,2", "3 numbers")):
        with pytest.raises(PluginError, match=text):
            OnnxPreference(f"{path}#{option}").score(np.zeros((40, 40, 3), np.uint8))


def test_the_conformance_check_finds_what_is_wrong():
    class Careless:
        name, digest = "", "ABC"
        calls = 0

        def prepare(self):
            pass

        def score(self, pixels, caption=""):
            self.calls += 1
            pixels[0, 0] = 0
            return float(self.calls)

    found = "\n".join(check.rule for check in check_preference(Careless()) if not check.ok)
    for word in ("has a name", "SHA-256", "the same again", "is not changed"):
        assert word in found
    assert "missing: name" in check_preference(object())[0].found

    class Failing(Careless):
        def score(self, pixels, caption=""):
            raise RuntimeError("no")

    assert any("RuntimeError" in check.found for check in check_preference(Failing()))


def test_a_column_of_its_own_compared_with_people_and_never_mixed(tmp_path):
    """A model that people agree with, next to votes; the people's score does not move by it."""
    ladder = review.load_ladder()
    folder = tmp_path / "set"
    folder.mkdir()
    files = {}
    for i in range(14):
        data = encoded(picture(i, 80))
        (folder / f"{i}.jpg").write_bytes(data)
        files[hashlib.sha256(data).hexdigest()] = folder / f"{i}.jpg"
    pictures = review.Pictures([], files | {r.sha256: r.path for r in ladder.rungs})
    path = sharpness(tmp_path / "sharp.onnx")
    true = {d: expected(pictures.pixels(d)) for d in [*files, *ladder.names]}
    rng = np.random.default_rng(0)
    votes = []
    names = list(true)
    for _ in range(240):
        a, b = rng.choice(names, 2, replace=False)
        liked = true[a] > true[b] if rng.random() < 0.9 else rng.random() < 0.5
        votes.append(Vote(str(a), str(b), "a" if liked else "b", f"r{rng.integers(6)}", 0.0))
    with ReviewRecord(tmp_path / "r.sqlite", keep=True) as record:
        with record.transaction():
            for number, vote in enumerate(votes):
                record.add_vote(vote, nonce=str(number))
        bot = Vote(votes[0].a, votes[0].b, "b", "model:sharp", 0.0)
        record.add_vote(bot, nonce="bot")
        judges = review.judge_images(
            record, ladder, pictures, list(files), models=[f"onnx:{path}", "onnx:/no"]
        )
    plain = review.preference_scores([*votes, bot], ladder.names, steps=ladder.steps)
    assert judges.people == plain
    assert judges.people.tests == 1
    (column,) = judges.models
    assert column.label == "published model"
    assert column.scores == pytest.approx(true, abs=1e-6)
    assert 0.9 < column.agreement.value <= 1
    assert not column.agreement.coin
    assert column.ladder.n == 18  # three scenes of four steps
    steps = ladder.steps
    right = [
        true[a] > true[b]
        for a in steps
        for b in steps
        if steps[a][0] == steps[b][0] and steps[a][1] < steps[b][1]
    ]
    assert column.ladder.k == sum(right)
    assert "cannot be read" in judges.problems["onnx:/no"]
    table = review.scores_table(judges, list(files), {d: p.name for d, p in files.items()}).splitlines()
    assert table[0].endswith(f"proxy,published model: sharp@{column.digest[:12]}")
    assert len(table) == 15
    first = dict(zip(table[0].split(","), table[1].split(","), strict=True))
    assert 0 <= float(first["people_lower"]) <= float(first["people"]) <= float(first["people_upper"]) <= 10


def test_where_nobody_voted_the_column_says_so(tmp_path):
    ladder = review.load_ladder()
    pictures = review.Pictures([], {r.sha256: r.path for r in ladder.rungs})
    with ReviewRecord(tmp_path / "r.sqlite", keep=True) as record:
        judges = review.judge_images(record, ladder, pictures, ["ab" * 32], command="genepool review /x")
    line = review.scores_table(judges, ["ab" * 32], {}).splitlines()[1]
    assert '"needs people: genepool review /x, page Compare"' in line
    assert judges.proxy is None


# ------------------------------------------------------------------------------------- transformers


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Real classes of transformers with random weights, saved as a hub snapshot would lie there."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    root = tmp_path_factory.mktemp("hub")
    size = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    names = {0: "not_aesthetic", 1: "aesthetic"}
    sight = {**size, "image_size": 32, "patch_size": 8}
    config = transformers.ViTConfig(
        **sight, num_labels=2, id2label=names, label2id={v: k for k, v in names.items()}
    )
    transformers.ViTForImageClassification(config).save_pretrained(root / "classifier")
    processor = transformers.ViTImageProcessorPil(size={"height": 32, "width": 32})
    processor.save_pretrained(root / "classifier")
    words = {
        "vocab_size": 99,
        "max_position_embeddings": 12,
        "eos_token_id": 1,
        "bos_token_id": 0,
        "pad_token_id": 1,
    }
    both = transformers.CLIPConfig(
        text_config={**size, **words, "projection_dim": 8},
        vision_config={**sight, "projection_dim": 8},
        projection_dim=8,
    )
    transformers.CLIPModel(both).save_pretrained(root / "towers")
    processor.save_pretrained(root / "towers")
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    table = {"<s>": 0, "</s>": 1, "<unk>": 2} | {
        w: i for i, w in enumerate(["a", "cat", "dog", "on", "the", "mat"], 3)
    }
    made = Tokenizer(WordLevel(table, unk_token="<unk>"))
    made.pre_tokenizer = Whitespace()
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token="<s>", eos_token="</s>", pad_token="</s>", unk_token="<unk>"
    )
    fast.save_pretrained(root / "towers")
    return root


def test_a_classifier_of_transformers_scores_like_the_library(saved):
    import torch
    import transformers

    model = TransformersPreference(f"{saved / 'classifier'}#label=aesthetic")
    assert_preference(model)
    pixels = np.asarray(picture(5, 70))
    own = transformers.ViTForImageClassification.from_pretrained(saved / "classifier")
    small = Image.fromarray(pixels).resize((32, 32), Image.Resampling.BILINEAR)
    x = torch.from_numpy((np.asarray(small) / 255 - 0.5) / 0.5).permute(2, 0, 1)[None].float()
    with torch.no_grad():
        logits = own(pixel_values=x).logits[0]
    assert model.score(pixels) == pytest.approx(float(logits[1] - logits[0]), abs=1e-4)
    with pytest.raises(PluginError, match="one of aesthetic, not_aesthetic"):
        TransformersPreference(str(saved / "classifier")).prepare()


def test_two_towers_need_words_and_give_the_cosine(saved):
    model = TransformersPreference(str(saved / "towers"))
    assert math.isnan(model.score(np.asarray(picture(1, 64))))
    assert_preference(model)
    prompted = TransformersPreference(f"{saved / 'towers'}#prompt=a+cat")
    pixels = np.asarray(picture(1, 64))
    assert prompted.score(pixels) == model.score(pixels, "a cat") != model.score(pixels, "the dog on the mat")
    assert abs(model.score(pixels, "a cat")) <= math.exp(model._model.logit_scale.item()) + 1e-6


def test_only_safetensors_without_code_and_nothing_is_fetched(saved, tmp_path):
    import shutil

    with pytest.raises(SourceError, match="neither a folder nor downloaded") as caught:
        TransformersPreference("nobody/never-downloaded")
    assert caught.value.hint == "hf download nobody/never-downloaded"
    pickled = tmp_path / "pickled"
    pickled.mkdir()
    (pickled / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(SourceError, match="safetensors"):
        TransformersPreference(str(pickled))
    strange = shutil.copytree(saved / "classifier", tmp_path / "strange")
    config = json.loads((strange / "config.json").read_text())
    (strange / "config.json").write_text(json.dumps(config | {"auto_map": {"AutoModel": "evil.Evil"}}))
    (strange / "evil.py").write_text("raise SystemExit('ran')")
    with pytest.raises(PluginError, match="code of its own"):
        TransformersPreference(f"{strange}#label=aesthetic").prepare()
    model = TransformersPreference(f"{saved / 'classifier'}#label=aesthetic")
    with pytest.raises(IntegrityError, match="expected sha256"):
        TransformersPreference(f"{saved / 'classifier'}#sha256={'1' * 64}&label=aesthetic")
    assert model.digest != TransformersPreference(str(saved / "towers")).digest
