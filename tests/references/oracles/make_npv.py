"""Present values of numpy-financial for `tests/references/test_npv_reference.py`.

python3.11 -m venv v && v/bin/pip install numpy-financial==1.0.0
v/bin/python make_npv.py > ../fixtures/npv.json
"""

import json
import sys

import numpy as np
import numpy_financial as npf


def main():
    rng = np.random.default_rng(20261128)
    rows = []
    for rate, n in ((0.0, 5), (0.005, 19), (0.1, 12), (0.281, 5), (0.07, 60)):
        flows = [round(float(x), 2) for x in rng.normal(1000, 5000, n)]
        rows.append({"rate": rate, "flows": flows, "npv": float(npf.npv(rate, flows))})
    # The example of its own documentation.
    flows = [-40_000, 5_000, 8_000, 12_000, 30_000]
    rows.append({"rate": 0.08, "flows": flows, "npv": float(npf.npv(0.08, flows))})
    json.dump({"made_by": f"numpy-financial {npf.__version__}", "rows": rows}, sys.stdout, indent=1)


main()
