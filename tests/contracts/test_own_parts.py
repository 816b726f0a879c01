"""Our own parts keep the rules that we ask of plug-ins (detectors and others: beside their rooms)."""

from __future__ import annotations

import pytest

from genepool import dataset
from genepool.engine import LocalEngine
from genepool.testing import assert_engine, assert_source, check_engine, check_source
from support.exports import write_set


@pytest.mark.parametrize("form", ["folder", "webdataset", "parquet"])
def test_sources(tmp_path, form):
    dataset.export(dataset.open(write_set(tmp_path / "set")), None, tmp_path / form, format=form)
    assert_source(dataset.open(tmp_path / form).source)


def test_the_kit_finds_what_is_wrong_with_a_source(tmp_path):
    source = dataset.open(write_set(tmp_path / "set")).source

    class Turned(type(source)):
        def read(self, items):
            return iter([*super().read(items)][::-1])

    class Forgets(type(source)):
        def read(self, items):
            return (sample for sample in super().read(items) if sample.data is not None)

    def broken(kind):
        return {check.rule for check in check_source(kind(source.root)) if not check.ok}

    assert "one sample per item, in the order asked" in broken(Turned)
    assert "an item that has gone becomes a case, and its neighbours are read" in broken(Forgets)


def test_the_kit_finds_what_is_wrong_with_an_engine():
    class Loses:
        name = "loses"

        def run(self, job, units):
            job.prepare()
            yield from list(map(job, units))[1:]

    broken = {check.rule for check in check_engine(Loses(), isolates=False) if not check.ok}
    assert {"runs every unit", "the job's own error reaches the caller as a GenepoolError"} <= broken


@pytest.mark.soak
def test_the_engine_of_this_machine():
    assert_engine(LocalEngine(workers=2, timeout=20))
