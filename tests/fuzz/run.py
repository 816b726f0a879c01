"""Fuzz one target for a number of CPU seconds.

    python tests/fuzz/run.py image --engine atheris --seconds 600
    python tests/fuzz/run.py log --engine hypothesis --seconds 600

``atheris`` is led by the coverage of genepool's own code; it needs the environment that ``make soak-fuzz``
makes. ``hypothesis`` builds inputs from their grammar and damages real files. The first input that breaks
the rule ends the run with status 1; it is kept in ``--found``, to be moved to ``corpus/`` with the fix.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import itertools
import os
import resource
import shutil
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def kept(folder: Path, target: str, data: bytes, why: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{target}-{hashlib.sha256(data).hexdigest()[:16]}"
    path.write_bytes(data)
    path.with_suffix(".txt").write_text(why + "\n")
    return path


def by_hypothesis(target: str, seconds: float, found: Path, seed: int) -> int:
    """Rounds of 200 inputs, each from another seed, until the time is up."""
    import hypothesis
    from hypothesis import Phase, given, settings

    from fuzz.structures import STRATEGIES
    from fuzz.targets import TARGETS
    from fuzz.watch import Violation, watched

    begun, executed, last = cpu(), 0, b""
    chosen = settings(
        max_examples=200,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(hypothesis.HealthCheck),
        print_blob=False,
    )
    current = found / f".{target}-{os.getpid()}"
    found.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(seed):

        @hypothesis.seed(number)
        @chosen
        @given(STRATEGIES[target])
        def once(data: bytes) -> None:
            nonlocal executed, last
            executed, last = executed + 1, data
            current.write_bytes(data)  # what is left behind when native code takes the process down
            watched(TARGETS[target], data)

        try:
            once()
        except Violation as broken:
            print(f"{target}: {broken}\nkept as {kept(found, target, last, str(broken))}")
            return 1
        if cpu() - begun >= seconds:
            break
    current.unlink()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(
        f"{target}: hypothesis, {executed:,} inputs in {cpu() - begun:.0f} CPU s, "
        f"at most {peak} MB, seeds from {seed}; none broke the rule"
    )
    return 0


def by_atheris(target: str, seconds: float, found: Path, corpus: Path) -> int:
    """libFuzzer in this process; it leaves by itself when the time is up or an input breaks the rule."""
    import atheris

    # It names every module that it instruments.
    with contextlib.redirect_stderr(io.StringIO()), atheris.instrument_imports(include=["genepool"]):
        from fuzz.targets import TARGETS
    from fuzz.seeds import seeds
    from fuzz.watch import Violation, watched

    for data in seeds(target):
        (corpus / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
    for path in (HERE / "corpus").glob(f"*/{target}-*"):
        shutil.copy(path, corpus)
    begun, state = cpu(), {"n": 0}

    def one(data: bytes) -> None:
        state["n"] += 1
        try:
            watched(TARGETS[target], data)
        except Violation as broken:
            print(f"{target}: {broken}\nkept as {kept(found, target, data, str(broken))}", flush=True)
            os._exit(1)
        if cpu() - begun >= seconds:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            print(
                f"{target}: atheris, {state['n']:,} inputs in {cpu() - begun:.0f} CPU s, corpus "
                f"{len(list(corpus.iterdir()))}, at most {peak} MB; none broke the rule",
                flush=True,
            )
            os._exit(0)

    options = [
        f"-artifact_prefix={found}/{target}-",
        "-timeout=120",
        "-rss_limit_mb=3000",
        "-max_len=65536",
        "-len_control=20",
        "-print_final_stats=0",
        "-verbosity=0",
        "-close_fd_mask=0",
    ]
    found.mkdir(parents=True, exist_ok=True)
    atheris.Setup([sys.argv[0], *options, str(corpus)], one, enable_python_coverage=True)
    atheris.Fuzz()
    return 1  # libFuzzer ends the process itself


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("target")
    parser.add_argument("--engine", choices=("atheris", "hypothesis"), default="hypothesis")
    parser.add_argument("--seconds", type=float, default=600, help="CPU seconds")
    parser.add_argument("--found", type=Path, default=HERE / ".found")
    parser.add_argument("--corpus", type=Path, help="where atheris keeps inputs that reach new code")
    parser.add_argument("--seed", type=int, help="where hypothesis begins (default: at random)")
    options = parser.parse_args()
    if options.engine == "hypothesis":
        seed = int.from_bytes(os.urandom(4)) if options.seed is None else options.seed
        return by_hypothesis(options.target, options.seconds, options.found, seed)
    corpus = options.corpus or Path(tempfile.mkdtemp(prefix=f"genepool-corpus-{options.target}-"))
    corpus.mkdir(parents=True, exist_ok=True)
    return by_atheris(options.target, options.seconds, options.found, corpus)


if __name__ == "__main__":
    sys.exit(main())
