"""Real Ray clusters of several nodes on this machine: every node has processes of its own."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

MARKS = [
    pytest.mark.soak,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),  # Ray's Popen objects
]
"""Of every test on a real Ray."""


def needs_ray() -> None:
    """Pass over a module where Ray is missing; it is not imported: the cluster's token comes first."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("ray is not installed: pip install 'genepool[ray]'", allow_module_level=True)


def token() -> None:
    """Clusters of the tests ask for a token too; to be called before Ray is imported."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_USAGE_STATS_REPORT_URL", "")  # nor a notice that it is off
    os.environ.setdefault("RAY_CLIENT_SERVER_CHECK_CHANNEL_TIMEOUT_S", "180")
    os.environ.setdefault("RAY_worker_niceness", "0")  # else the tests' workers wait for everybody
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    os.environ.setdefault("RAY_AUTH_TOKEN", "0123456789abcdef" * 4)


@contextlib.contextmanager
def cluster(nodes: int, *, client_port: int = 0, gpus: int = 0) -> Iterator[Any]:
    """A head without CPUs and ``nodes`` nodes with one each, stopped at the end."""
    token()
    from ray.cluster_utils import Cluster

    logging.getLogger("ray").setLevel(logging.CRITICAL)
    head: dict[str, Any] = {"num_cpus": 0, "include_dashboard": False}
    if client_port:
        head["ray_client_server_port"] = client_port
    made = Cluster(initialize_head=True, head_node_args=head)
    try:
        for _ in range(nodes):
            add(made, num_gpus=gpus)
        yield made
    finally:
        import ray

        ray.shutdown()
        made.shutdown()


def add(made: Any, **options: Any) -> Any:
    """One node more, of one CPU unless told; Ray gives it 30 s, which a machine under load may miss."""
    for attempt in range(3):
        try:
            return made.add_node(**{"num_cpus": 1, **options})
        except Exception:
            if attempt == 2:
                raise
            time.sleep(5)
    raise AssertionError


def alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def tree(pid: int) -> list[int]:
    """A process and all its descendants."""
    found, todo = [], [pid]
    while todo:
        found.append(todo.pop())
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{found[-1]}/task").iterdir():
                todo += [int(word) for word in (task / "children").read_text().split()]
    return found


def gone(pids: list[int], seconds: float) -> list[int]:
    """Those that still live after so long."""
    deadline = time.monotonic() + seconds
    while any(map(alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return [pid for pid in pids if alive(pid)]
