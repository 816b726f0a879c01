"""Two-parent pedigrees against sgkit (its answers are a fixture; `make oracles` writes them again)."""

import json
from pathlib import Path

import pytest

from genepool.lineage import Pedigree

FIXTURE = json.loads((Path(__file__).parent / "fixtures" / "sgkit_pedigree.json").read_text())


@pytest.mark.parametrize("name", sorted(FIXTURE["cases"]))
def test_kinship_and_inbreeding_are_sgkits(name):
    case = FIXTURE["cases"][name]
    p = Pedigree()
    for i, (sire, dam) in enumerate(case["parents"]):
        if sire < 0:
            p.add_founders(str(i), 1)
        else:
            p.add_model(str(i), trained_on=str(dam), base=str(sire))
    for i, (row, inbreeding) in enumerate(zip(case["kinship"], case["inbreeding"], strict=True)):
        assert p.inbreeding(str(i)) == pytest.approx(inbreeding, abs=1e-12)
        for j, kinship in enumerate(row):
            assert p.kinship(str(i), str(j)) == pytest.approx(kinship, abs=1e-12)


def test_the_fixture_is_not_trivial():
    cases = FIXTURE["cases"]
    assert FIXTURE["oracle"].startswith("sgkit ")
    assert cases["full sibs"]["inbreeding"][-1] == 0.25
    assert cases["backcross"]["inbreeding"][5:] == [0.25, 0.375, 0.4375]
    assert max(max(case["inbreeding"]) for name, case in cases.items() if "drawn" in name) > 0.2
