"""Whatever images are called and whatever lies beside them, every export format gives it back."""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genepool import dataset
from genepool.dataset import EXPORT_FORMATS
from genepool.records import OriginClass

letters = st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1, max_size=12)
part = letters.filter(lambda s: not s.startswith(".") and not s.endswith(".genepool") and s.strip())
path = st.lists(part, min_size=1, max_size=3).map("/".join)
caption = st.none() | st.text(st.characters(codec="utf-8"), max_size=40)
claims = st.fixed_dictionaries(
    {},
    optional={
        "origin": st.sampled_from([str(kind) for kind in OriginClass]),
        "artist": letters,
        "parents": st.lists(letters, max_size=3),
        "generation": st.integers(0, 9) | st.tuples(st.integers(0, 9), st.none()).map(list),
        "caption_source": st.sampled_from(["human", "machine"]),
        "created": st.dates().map(str),
        "anything": st.booleans() | st.floats(-1, 1) | st.integers(-5, 5),
    },
)
sets = st.dictionaries(path, st.tuples(caption, claims), min_size=1, max_size=5)


def seen(place: Path) -> list[tuple[str, str | None, str]]:
    found = []
    for sample in dataset.open(place):
        assert sample.data is not None
        assert sample.case is None
        text = json.dumps(sample.declared or {}, sort_keys=True)
        found.append((hashlib.sha256(sample.data).hexdigest(), sample.caption, text))
    return sorted(found, key=str)


@pytest.mark.parametrize("form", EXPORT_FORMATS)
@settings(max_examples=40, deadline=None)
@given(images=sets)
def test_what_goes_out_comes_back(form, images):
    with tempfile.TemporaryDirectory() as home:
        root = Path(home) / "set"
        root.mkdir()
        for number, (name, (words, claimed)) in enumerate(images.items()):
            target = root / f"{name}.jpg"
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(b"\xff\xd8\xff" + str(number).encode())
            except OSError:  # one name is a file and a folder, or too long
                continue
            sidecar = dict(claimed) if words is None else {**claimed, "caption": words}
            (root / f"{name}.jpg.genepool.json").write_text(json.dumps(sidecar), "utf-8")
        before = seen(root)
        out = Path(home) / "out"
        manifest = dataset.export(dataset.open(root), None, out, format=form)
        assert manifest.n == len(before)
        assert seen(out) == before
