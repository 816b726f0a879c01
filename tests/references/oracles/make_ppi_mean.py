"""Figures of ppi-python (Angelopoulos et al.) for `tests/references/test_certificate_reference.py`.

    python3.11 -m venv v && v/bin/pip install ppi-python==0.2.3
    v/bin/python make_ppi_mean.py > ../fixtures/ppi_mean.json

Needs an environment of its own: ppi-python pulls numba, pandas and statsmodels.
"""

import json
import sys

import numpy as np
import ppi_py

SETS = [(50, 350, 0.8, 0.9), (100, 600, 0.7, 0.8), (30, 100, 0.5, 0.6), (200, 200, 0.9, 0.95)]


def main():
    rows = []
    for seed, (n, m, h, recall) in enumerate(SETS):
        rng = np.random.default_rng(seed)
        y = (rng.random(n + m) < h).astype(float)
        f = np.where(rng.random(n + m) < recall, y, 1 - y) * 0.8 + 0.1
        f = np.round(f + rng.normal(0, 0.02, n + m), 6)
        given = {"labels": y[:n].tolist(), "predicted": f[:n].tolist(), "unlabelled": f[n:].tolist()}
        for weight in (1.0, None):
            point = ppi_py.ppi_mean_pointestimate(y[:n], f[:n], f[n:], lam=weight)
            ends = ppi_py.ppi_mean_ci(y[:n], f[:n], f[n:], alpha=0.1, lam=weight)
            point, lower, upper = (float(np.ravel(x)[0]) for x in (point, *ends))
            rows.append({**given, "weight": weight, "point": point, "lower": lower, "upper": upper})
    json.dump({"made_by": "ppi-python 0.2.3", "alpha": 0.1, "rows": rows}, sys.stdout)


if __name__ == "__main__":
    main()
