"""Arrays built from buffers against those that Arrow builds itself."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genepool.errors import PluginError
from genepool.store._columns import arrow_type, column

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "string": st.text(st.characters(exclude_categories=["Cs"])),
    "binary": st.binary(),
    "binary(3)": st.binary(min_size=3, max_size=3),
    "int32": st.integers(-(2**31), 2**31 - 1),
    "uint8": st.integers(0, 255),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(width=32, allow_nan=False),
    "double": st.floats(allow_nan=False),
    "bool": st.booleans(),
}


@pytest.mark.parametrize("kind", VALUES)
@given(data=st.data())
def test_like_arrow(kind: str, data: st.DataObject) -> None:
    values = data.draw(st.lists(st.none() | VALUES[kind], max_size=20))
    faults: dict[int, str] = {}
    own = column(values, kind, faults)
    own.validate(full=True)
    assert faults == {}
    assert own.equals(pa.array(values, arrow_type(kind)))


@pytest.mark.parametrize(
    ("kind", "bad"),
    [
        ("string", 3), ("string", b"x"), ("string", "\ud800"), ("int32", "3"), ("int32", 2.5),
        ("int32", 2**31), ("int32", float("nan")), ("uint8", -1), ("bool", 1),
        ("float", "1"), ("float", [1.0]), ("float", {}),
        ("binary", "x"), ("binary(3)", b"xx"), ("float", np.zeros(2)),
    ],
)  # fmt: skip
def test_what_does_not_fit_becomes_null_and_is_told(kind: str, bad: Any) -> None:
    faults: dict[int, str] = {}
    array = column([None, bad, None], kind, faults)
    array.validate(full=True)
    assert array.null_count == 3
    assert list(faults) == [1]
    assert faults[1].startswith(f"expected {kind}, found {type(bad).__name__}")


def test_numpy_scalars_fit() -> None:
    faults: dict[int, str] = {}
    assert column([np.float32(0.5), np.int64(2), True], "float", faults).to_pylist() == [0.5, 2.0, 1.0]
    assert column([np.int64(7), np.bool_(True)], "int32", faults).to_pylist() == [7, 1]
    assert column([np.True_, False], "bool", faults).to_pylist() == [True, False]
    assert faults == {}


@pytest.mark.parametrize("kind", ["nonsense", "binary()", "list<int32>", ""])
def test_unknown_types(kind: str) -> None:
    with pytest.raises(PluginError, match="column type"):
        arrow_type(kind)


def test_pandas_stays_out() -> None:
    code = (
        "import sys, pathlib, tempfile\nfrom genepool.store import PartWriter\n"
        "with tempfile.TemporaryDirectory() as d:\n"
        "    w = PartWriter(pathlib.Path(d), 'f' * 64, {'x': 'float'}, {'v': 2})\n"
        "    w.add({'place': 'a', 'x': 1.0, 'v': [1, 2]}); w.add({'place': None}); w.finish('u')\n"
        "assert 'pandas' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
