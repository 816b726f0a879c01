"""Capital by confseq (Waudby-Smith, Ramdas, Howard) for `tests/references/test_certificate_reference.py`.

    git clone https://github.com/gostevehoward/confseq            # 0.0.11; only its Python part is needed
    python3.11 -m venv v && v/bin/pip install numpy scipy matplotlib multiprocess
    export PYTHONPATH=confseq/src:../../../src
    v/bin/python make_betting_capital.py > ../fixtures/betting_capital.json

Draws orders, reads off the bets that `genepool.stats.BettingGame` places, and lets confseq play the same bets
on the same answers, without replacement: capital after each draw must be the same.
"""

import json
import sys

import numpy as np

np.float_ = np.float64  # confseq 0.0.11 was written for numpy 1

from confseq.betting import betting_mart  # noqa: E402

from genepool.stats import BettingGame  # noqa: E402


def bets_of(game, score, one):
    """The bet of the next draw, from what the capital becomes and what the answer was."""
    mu = (game.candidates[0] - game.ones[0]) / game.left
    before = game.log_capital[0].copy()
    game.see(score, one)
    return (np.exp(game.log_capital[0] - before) - 1) / (float(one) - mu)


def main():
    rows = []
    for seed, (n, h, looks) in enumerate(
        [(60, 0.8, 60), (500, 0.75, 120), (2000, 0.5, 80), (200, 0.95, 100)]
    ):
        rng = np.random.default_rng(seed)
        y = rng.permutation(np.arange(n) < round(h * n))[:looks].astype(float)
        for null in (0.3, 0.5, 0.7):
            game = BettingGame(np.full(n, 0.5), np.array([null * n]))
            bets, ours = [], []
            for one in y:
                if (null * n - game.ones[0]) / game.left <= 0:
                    break
                bets.append(float(bets_of(game, 0.5, bool(one))[0]))
                ours.append(float(game.log_capital[0, 0]))
            x = y[: len(bets)]
            theirs = betting_mart(
                x, null, lambdas_fn_positive=lambda x, m, b=bets: np.array(b), N=n, theta=1, trunc_scale=1
            )
            rows.append({"n": n, "null": null, "answers": x.tolist(), "capital": theirs.tolist()})
    json.dump({"made_by": "confseq 0.0.11, betting_mart", "rows": rows}, sys.stdout, allow_nan=False)


if __name__ == "__main__":
    main()
