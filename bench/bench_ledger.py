"""The log beside the SHA-256 limit of the same run: append, audit, proofs, verify_origins, look-ups.

    python bench/bench_ledger.py [--entries 1000000] [--digests 1000000] [--folder DIR]

Rates are per second of wall time on one core; "share of limit" divides by what bare hashlib calls reach on
the same entries in the same run (one leaf hash and one node hash an entry: nothing that builds the tree with
them can be faster).
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
import time
from hashlib import sha256
from pathlib import Path

import numpy as np
import orjson

from genepool.provenance import (
    Ledger,
    Lookup,
    OriginReport,
    Proof,
    Sidecar,
    Signer,
    load_public,
    load_trust,
    read_trail,
)
from genepool.provenance._entries import encode
from genepool.provenance._sidecar import commit_details
from genepool.provenance._writer import open_writer
from genepool.store import Workspace

SIZE = 300
ROUNDS = 5
BATCH = 50_000


def clock(function, *arguments):
    wall, cpu = time.perf_counter(), time.process_time()
    result = function(*arguments)
    return result, time.perf_counter() - wall, time.process_time() - cpu


def limit(entries: list[bytes]) -> float:
    """Entries a second if only their leaf and node hashes were computed, with hashlib from Python."""

    def hashes() -> None:
        for entry in entries:
            sha256(entry).digest()
        node = b"\x01" * 65
        for _ in entries:
            sha256(node).digest()

    _, seconds, _ = clock(hashes)
    return len(entries) / seconds


def log_rates(folder: Path, n: int) -> dict[str, float]:
    entries = [os.urandom(SIZE) for _ in range(min(n, BATCH))]
    bound = limit(entries)
    ledger = Ledger.open(folder / "log", create=True, signer=Signer.generate("bench"))
    rounds = max(1, n // len(entries))

    def append() -> None:
        for _ in range(rounds):
            ledger.append(entries)

    _, wall, cpu = clock(append)
    size = ledger.size
    _, audit_wall, audit_cpu = clock(ledger.audit)
    parallel = parallel_audit(ledger, size)
    proofs, checks, small = [], [], []
    rng = np.random.default_rng(0)
    # A shared machine stalls now and then: the quantiles are taken of each round, and their median is given.
    for _ in range(ROUNDS):
        proofs.append([])
        checks.append([])
        for index in rng.integers(0, size, 500).tolist():
            cold = Ledger.open(folder / "log", verifiers=[ledger.verifier])
            proof, seconds, _ = clock(cold.prove, index)
            proofs[-1].append(seconds)
            parsed = Proof.parse(proof.encode())
            checks[-1].append(clock(parsed.verify, None, [ledger.verifier])[1])
        small.append([clock(ledger.append, entries[:10])[1] for _ in range(100)])
    return {
        "entries": size,
        "sha256_limit_per_s": bound,
        "append_per_s": size / wall,
        "append_per_cpu_s": size / cpu,
        "append_share_of_limit": size / wall / bound,
        "audit_per_s": size / audit_wall,
        "audit_per_cpu_s": size / audit_cpu,
        "audit_share_of_limit": size / audit_wall / bound,
        **parallel,
        **quantiles("proof", proofs, 0.5, 0.99),
        **quantiles("proof_verify", checks, 0.5, 0.99),
        **quantiles("small_commit", small, 0.5, 0.95),
    }


def quantiles(name: str, rounds: list[list[float]], *wanted: float) -> dict[str, float]:
    """Median over the rounds of each quantile, and the worst round's."""
    found = {}
    for q in wanted:
        each = [1e3 * float(np.quantile(times, q)) for times in rounds]
        found[f"{name}_p{round(100 * q)}_ms"] = float(np.median(each))
        found[f"{name}_p{round(100 * q)}_ms_worst_round"] = max(each)
    return found


def parallel_audit(ledger: Ledger, size: int) -> dict[str, float]:
    """The audit over processes, up to one per core, each with its speed against one process of the same code.

    The start of the pool (an interpreter per process) is part of the time: use 10^6 entries or more
    for it not to matter.
    """
    rates: dict[str, float] = {}
    for workers in sorted({1, 2, os.cpu_count() or 1}):
        _, wall, _ = clock(lambda w=workers: ledger.audit(workers=w))
        rates[f"audit_{workers}_processes_per_s"] = size / wall
    return rates


def origin_rates(folder: Path, n: int) -> dict[str, float]:
    os.environ["GENEPOOL_HOME"] = str(folder / "home")
    shas = np.frombuffer(os.urandom(32 * n), np.uint8).reshape(-1, 32)
    pixels = np.frombuffer(os.urandom(32 * n), np.uint8).reshape(-1, 32)
    workspace = Workspace(folder / "set.genepool").create()
    common = {"kind": "origin", "cohort": "bench", "gen": [0, 0], "origin": "human_made", "role": "attest"}

    def register() -> None:
        with open_writer(workspace, None) as writer:
            entries = [
                encode({**common, "pix": pix.tobytes().hex(), "sha256": sha.tobytes().hex()})
                for sha, pix in zip(shas, pixels, strict=True)
            ]
            writer.append(
                entries, "attest", {"cohort": "bench", "dataset": "", "model": "", "origin": "human_made"}
            )

    _, register_wall, _ = clock(register)
    trail, read_wall, _ = clock(read_trail, [workspace.ledger])
    shuffled = np.random.default_rng(1).permutation(n)
    uris = np.arange(n).astype(str)

    def verify() -> OriginReport:
        return OriginReport(trail, uris, shas[shuffled], pixels[shuffled])

    report, verify_wall, _ = clock(verify)
    if report.n_human != n:
        raise SystemExit(f"expected {n} images attested human, found {report.n_human}")
    found, records_wall, _ = clock(trail.attestations, list(map(bytes, shas[:100_000])), [])
    return {
        "digests": n,
        "register_s": register_wall,
        "open_and_audit_s": read_wall,
        "verify_origins_s": verify_wall,
        "total_s": read_wall + verify_wall,
        "attestation_records_per_s": len(found) / records_wall,
    }


def lookup_rates(folder: Path, n: int) -> dict[str, float]:
    """One image looked up among n, by bytes and by looks, from the index on disk; and proven."""
    os.environ["GENEPOOL_HOME"] = str(folder / "home")
    shas = np.frombuffer(os.urandom(32 * n), np.uint8).reshape(-1, 32)
    looks = np.frombuffer(os.urandom(32 * n), np.uint8).reshape(-1, 32)
    workspace = Workspace(folder / "looks.genepool").create()
    common = {"kind": "origin", "cohort": "bench", "gen": [1, 1], "origin": "synthetic", "role": "attest"}

    def register() -> None:
        details = commit_details([{"phash": look.tobytes().hex(), "uri": "x.png"} for look in looks])
        Sidecar(workspace.root).add(details)
        with open_writer(workspace, None) as writer:
            hexes = (sha.tobytes().hex() for sha in shas)
            entries = [
                encode({**common, "det": det[0], "pix": sha, "sha256": sha})
                for sha, det in zip(hexes, details, strict=True)
            ]
            writer.append(entries, "attest", {"cohort": "bench", "dataset": "", "model": "", "origin": ""})

    _, register_wall, _ = clock(register)
    ledger = Ledger.open(workspace.ledger)
    trust = load_trust(None, load_public())
    _, build_wall, _ = clock(Lookup, ledger, trust)
    index, open_wall, _ = clock(Lookup, ledger, trust)
    rng = np.random.default_rng(2)
    by_bytes, by_looks, found = [], [], 0
    for _ in range(ROUNDS):
        by_bytes.append([])
        by_looks.append([])
        for at in rng.integers(0, n, 100).tolist():
            by_bytes[-1].append(clock(index.find, shas[at].tobytes())[1])
            bits = np.unpackbits(looks[at])
            bits[rng.choice(256, 20, replace=False)] ^= 1
            strange = os.urandom(32)
            answer, seconds, _ = clock(index.find, strange, strange, np.packbits(bits).tobytes())
            by_looks[-1].append(seconds)
            found += len(answer) == 1 and shas[at].tobytes().hex() in answer[0].entry.decode()
    return {
        "entries": n,
        "register_s": register_wall,
        "index_made_s": build_wall,
        "index_opened_ms": 1e3 * open_wall,
        **quantiles("by_bytes", by_bytes, 0.5, 0.99),
        **quantiles("by_looks_20_bits_off", by_looks, 0.5, 0.99),
        "found_by_looks": found / (100 * ROUNDS),
    }


PEER = """
import os, sys, time
from pymerkle import InmemoryTree
entries = [os.urandom(300) for _ in range(int(sys.argv[1]))]
tree = InmemoryTree(algorithm="sha256")
started = time.perf_counter()
for entry in entries:
    tree.append_entry(entry)
print(len(entries) / (time.perf_counter() - started))
"""


def peer_rate(python: str, size: int) -> float:
    """Appends per second of pymerkle's tree in memory (GPL, so in an environment of its own), not durable."""
    done = subprocess.run([python, "-c", PEER, str(size)], capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--digests", type=int, default=1_000_000)
    parser.add_argument(
        "--folder", help="where to work (the disk that is measured); default: a temporary folder"
    )
    parser.add_argument("--pymerkle", help="a Python that has pymerkle, to measure it beside ours")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bench-ledger-", dir=options.folder))
    try:
        result = {
            "log": log_rates(folder, options.entries),
            "origins": origin_rates(folder, options.digests),
            "lookup": lookup_rates(folder, options.digests),
        }
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if options.pymerkle:
        rate = peer_rate(options.pymerkle, min(options.entries, 200_000))
        result["pymerkle"] = {"append_per_s": rate, "ours_over_it": result["log"]["append_per_s"] / rate}
    print(orjson.dumps(result, option=orjson.OPT_INDENT_2).decode())


if __name__ == "__main__":
    main()
