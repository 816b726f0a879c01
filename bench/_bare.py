"""What a bare loop over the work of a scan needs before its clock starts."""

from __future__ import annotations


def prepared(folder: str):
    """The set opened and the plan of the default configuration; models loaded, one image looked at.

    The first image pays for lazy imports.
    """
    from genepool import dataset
    from genepool.config import Config
    from genepool.scan import examine, load_probes, make_plan

    opened = dataset.open(folder)
    plan = make_plan(Config(), load_probes(Config()))
    for probe in plan.probes:
        probe.prepare()
    first = next(iter(opened.items([])))
    for sample in opened.source.read([first]):
        examine(sample, plan)
    return opened, plan
