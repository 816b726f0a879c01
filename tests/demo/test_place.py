"""The demo deletes only what it made."""

from __future__ import annotations

import pytest

from genepool.demo import clear
from genepool.demo._place import MARKER, mark
from genepool.errors import UsageError


def test_missing_and_empty_folders_are_fine(tmp_path):
    clear(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    clear(tmp_path / "empty")
    assert (tmp_path / "empty").is_dir()


def test_its_own_folder_is_removed(tmp_path):
    folder = tmp_path / "demo"
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "x.png").write_bytes(b"x")
    mark(folder, ["a/x.png"])
    clear(folder)
    assert not folder.exists()


def test_a_workspace_is_removed_whole(tmp_path):
    folder = tmp_path / "demo.genepool"
    mark(folder)
    (folder / "anything").write_text("x")
    clear(folder)
    assert not folder.exists()


@pytest.mark.parametrize("marker", [None, "", "[]", '{"schema": "other", "files": []}', '{"files": []}'])
def test_somebody_elses_folder_is_refused_and_kept(tmp_path, marker):
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "mine.jpg").write_bytes(b"x")
    if marker is not None:
        (folder / MARKER).write_text(marker)
    with pytest.raises(UsageError, match="expected an empty folder or an earlier demo"):
        clear(folder)
    assert (folder / "mine.jpg").exists()


def test_a_file_that_somebody_added_is_kept(tmp_path):
    folder = tmp_path / "demo"
    folder.mkdir()
    (folder / "made.png").write_bytes(b"x")
    mark(folder, ["made.png"])
    (folder / "mine.png").write_bytes(b"y")
    with pytest.raises(UsageError, match=r"did not make: mine\.png"):
        clear(folder)
    assert (folder / "made.png").exists()


def test_a_link_is_never_followed(tmp_path):
    (tmp_path / "real").mkdir()
    mark(tmp_path / "real")
    (tmp_path / "demo").symlink_to(tmp_path / "real")
    with pytest.raises(UsageError, match="found a file or a link"):
        clear(tmp_path / "demo")
    assert (tmp_path / "real" / MARKER).exists()


def test_all_or_none(tmp_path):
    """A refused folder keeps the others."""
    mine, other = tmp_path / "demo", tmp_path / "demo-clean"
    mark(mine)
    other.mkdir()
    (other / "x.txt").write_text("x")
    with pytest.raises(UsageError):
        clear(mine, other)
    assert (mine / MARKER).exists()


def test_the_name_that_is_suggested_is_free(tmp_path):
    """Whichever of a demo's folders is in the way, and whatever lies beside it."""
    (tmp_path / "demo-2-clean").mkdir()
    for name in ("demo", "demo.genepool", "demo-clean", "demo-clean.genepool"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "mine.txt").write_text("mine")
        with pytest.raises(UsageError) as caught:
            clear(folder)
        assert f"genepool demo {tmp_path / 'demo-3'} " in caught.value.hint
        assert f"remove {folder} first" in caught.value.hint
