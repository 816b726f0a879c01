"""Names leave in two steps: announced with the version in which they go, and gone in that version."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

import genepool
from genepool import deprecation
from genepool.deprecation import DEPRECATED, GenepoolDeprecationWarning, deprecated, overdue, release


@pytest.fixture
def announced(monkeypatch):
    """A list of announcements of this test only."""
    monkeypatch.setattr(deprecation, "DEPRECATED", found := [])
    return found


def test_a_function_warns_its_caller_and_still_works(announced):
    @deprecated(since="0.3.0", removed="0.5.0", instead="genepool.new")
    def old(x, *, y=1):
        """Add."""
        return x + y

    with pytest.warns(
        GenepoolDeprecationWarning, match=r"0\.3\.0 and will be removed in 0\.5\.0; use genepool.new"
    ) as w:
        assert old(1, y=2) == 3
    assert w[0].filename == __file__
    assert old.__name__ == "old"
    assert "Deprecated:" in old.__doc__
    assert announced[0].name.endswith("old")


def test_a_class_warns_where_it_is_made_and_stays_a_class(announced):
    @deprecated(since="0.3.0", removed="1.0.0")
    class Old:
        def __init__(self, x):
            self.x = x

    with pytest.warns(GenepoolDeprecationWarning) as w:
        assert Old(5).x == 5
    assert w[0].filename == __file__
    assert isinstance(Old, type)


def test_a_removal_in_the_same_minor_version_is_refused():
    for removed in ("0.3.1", "0.3.0", "0.2.0"):
        with pytest.raises(ValueError, match="minor version after"):
            deprecated(since="0.3.0", removed=removed)
    for wrong in ("1", "1.0", "1.0.0.1", "one"):
        with pytest.raises(ValueError, match="three numbers"):
            release(wrong)
    assert release("0.10.0.dev3") == (0, 10, 0)


def test_the_time_of_removal_is_kept(announced):
    deprecated(since="0.3.0", removed="0.5.0")(lambda: None)
    assert overdue("0.4.9") == []
    assert len(overdue("0.5.0")) == len(overdue("0.5.0rc1")) == len(overdue("1.0.0")) == 1


def test_nothing_that_should_be_gone_is_still_here():
    root = Path(genepool.__file__).parent
    for path in root.rglob("*.py"):
        if "@deprecated(" in path.read_text("utf-8") and path.name != "deprecation.py":
            parts = path.relative_to(root.parent).with_suffix("").parts
            importlib.import_module(".".join(parts).removesuffix(".__init__"))
    assert overdue(genepool.__version__) == [], "remove these, as was announced"
    assert all(release(note.since) <= release(genepool.__version__) for note in DEPRECATED)
