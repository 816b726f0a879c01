"""The panel file: what it holds, and that nothing else passes for one."""

from __future__ import annotations

import dataclasses
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

import genepool.diversity
from genepool.diversity import Panel
from genepool.embedding import ClassicalEmbedder
from genepool.errors import MeasureError


def test_the_packaged_panel_is_small_and_fits_the_embedder(panel):
    path = Path(genepool.diversity.__file__).parent / "panels" / "classical.npz"
    assert path.stat().st_size < 1_500_000
    assert panel.embedder == f"{ClassicalEmbedder.name}@{ClassicalEmbedder.version}"
    assert panel.mean.shape == (ClassicalEmbedder.dim,)
    assert panel.shares.sum() == pytest.approx(1.0, abs=1e-5)
    assert (panel.radii >= 0).all()
    panel.check_embedder("classical@1")
    with pytest.raises(MeasureError, match="fits embedder classical@1"):
        panel.check_embedder("classical@2")


def test_it_survives_the_file_and_keeps_its_digest(panel, tmp_path):
    panel.save(tmp_path / "p.npz")
    again = Panel.load(tmp_path / "p.npz")
    assert again.digest == panel.digest
    assert again.notes == panel.notes
    assert np.array_equal(again.frequencies, panel.frequencies)


def test_the_digest_binds_every_number(panel):
    for name in ("mean", "projection", "prototypes", "shares", "radii", "frequencies"):
        changed = getattr(panel, name).copy()
        changed.flat[0] += 0.5
        assert dataclasses.replace(panel, **{name: changed}).digest != panel.digest, name
    for name in ("reach", "bandwidth", "reference"):
        assert dataclasses.replace(panel, **{name: getattr(panel, name) * 1.001}).digest != panel.digest


def rewritten(panel, path, **changes):
    """The panel's file with some of its members replaced."""
    panel.save(path)
    with np.load(path) as file:
        members = {name: file[name] for name in file.files}
    members.update(changes)
    np.savez(path, **members)
    return path


def test_a_changed_file_is_refused(panel, tmp_path):
    path = rewritten(panel, tmp_path / "p.npz", shares=np.full(len(panel.shares), 1 / 3, np.float32))
    with pytest.raises(MeasureError, match="changed after it was made"):
        Panel.load(path)


def test_what_is_no_panel_is_refused(panel, tmp_path):
    broken = tmp_path / "broken.npz"
    broken.write_bytes(b"no archive at all")
    with pytest.raises(MeasureError, match="not a readable panel"):
        Panel.load(broken)
    with pytest.raises(MeasureError, match="no such panel"):
        Panel.load(tmp_path / "none.npz")
    with pytest.raises(MeasureError, match="not a readable panel"):
        Panel.load(rewritten(panel, tmp_path / "o.npz", mean=np.array([object()], dtype=object)))
    meta = np.frombuffer(json.dumps({"format": "other/1"}).encode(), np.uint8)
    with pytest.raises(MeasureError, match="expected a panel of format"):
        Panel.load(rewritten(panel, tmp_path / "m.npz", meta=meta))
    with pytest.raises(MeasureError, match="radii should have shape"):
        Panel.load(rewritten(panel, tmp_path / "r.npz", radii=np.ones(3, np.float32)))


def test_an_archive_that_unpacks_to_too_much_is_refused_unread(tmp_path):
    bomb = tmp_path / "bomb.npz"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mean.npy", bytes(80 * 1024 * 1024))
    with pytest.raises(MeasureError, match="unpacked is no panel"):
        Panel.load(bomb)


def test_every_packaged_panel_fits_its_embedder_and_others_are_named(tmp_path):
    from genepool import plugins
    from genepool.config import Config

    folder = Path(genepool.diversity.__file__).parent / "panels"
    for path in sorted(folder.glob("*.npz")):
        made = plugins.create("embedders", path.stem)
        assert Panel.load(embedder=path.stem).embedder == f"{made.name}@{made.version}"
        assert path.stat().st_size < 1_500_000
    assert Panel.load().digest == Panel.load(embedder=Config().diversity.embedder).digest
    with pytest.raises(MeasureError, match="no packaged panel fits embedder 'clip'") as caught:
        Panel.load(embedder="clip")
    assert "genepool panel" in caught.value.hint
