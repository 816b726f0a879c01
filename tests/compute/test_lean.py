"""pandas stays out of our processes until somebody asks for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("pandas")


def said(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_arrays_do_not_load_pandas() -> None:
    program = (
        "import sys, pyarrow as pa, numpy as np\nfrom genepool.compute import lean\n"
        "assert lean()\nassert pa.array(np.arange(3)).to_pylist() == [0, 1, 2]\n"
        "print('pandas' in sys.modules)"
    )
    assert said(program) == "False"
    assert said(program.replace("assert lean()\n", "")) == "True"  # else there is nothing to keep out


def test_pandas_works_when_asked_for() -> None:
    program = (
        "import pyarrow as pa\nfrom genepool.compute import lean\nlean()\n"
        "frame = pa.table({'a': [1, None, 3], 'b': ['x', 'y', None]}).to_pandas()\n"
        "back = pa.Table.from_pandas(frame)\n"
        "print(frame['a'].sum(), back['b'].to_pylist(), back['a'].null_count, "
        "pa.array(frame['a']).null_count)"
    )
    assert said(program) == "4.0 ['x', 'y', None] 1 1"


def test_what_is_loaded_stays() -> None:
    program = (
        "import pandas, pyarrow as pa\nfrom genepool.compute import lean\nprint(lean(), "
        "pa.array(pandas.Series([1.0, None])).null_count)"
    )
    assert said(program) == "False 1"


def test_the_collector_waits_only_where_it_may() -> None:
    program = "import gc\nfrom genepool.compute import lean\nlean({})\nprint(gc.get_threshold()[0] > 10_000)"
    assert said(program.format("")) == "False"
    assert said(program.format("patient=True")) == "True"
