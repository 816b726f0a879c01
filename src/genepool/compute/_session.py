"""One ONNX Runtime session, on the provider that was asked for or, said aloud, on the processor."""

from __future__ import annotations

import contextlib
import io
from typing import Any, NamedTuple

__all__ = ["PROVIDERS", "Opened", "Placement", "open_session", "place"]

PROVIDERS = ("cpu", "cuda", "auto")
_CPU, _CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
# ONNX Runtime, "CUDA Execution Provider": TF32 would keep 10 bits of each factor, and the exhaustive search
# chooses kernels by a stopwatch, so that two runs need not agree; the arena grows by what is needed, since
# the workers of one machine share the card.
_OPTIONS = {
    "use_tf32": "0",
    "cudnn_conv_algo_search": "HEURISTIC",
    "arena_extend_strategy": "kSameAsRequested",
}
_SILENT = 4


class Placement(NamedTuple):
    """Where a model is wanted, and how many pictures it is to be shown at once (0: measured)."""

    provider: str = "cpu"
    batch: int = 0


def place(plugin: Any, placement: Placement) -> None:
    """Tell an embedder or detector where to run, if it can choose: if it has a method ``place``.

    Others run where they always do; that is theirs to say.
    """
    put = getattr(plugin, "place", None)
    if callable(put):
        put(placement)


class Opened(NamedTuple):
    """A model that is ready.

    Attributes:
        session: The ``onnxruntime.InferenceSession``.
        provider: Where it runs: ``cpu`` or ``cuda``.
        warning: Why it does not run where it was wanted; empty where it does.
    """

    session: Any
    provider: str
    warning: str = ""


def open_session(data: bytes, provider: str = "cpu", *, settings: dict[str, str] | None = None) -> Opened:
    """Start a model.

    On the processor it has one thread: a scan has a worker per core. On a card TF32 is off and kernels are
    chosen by rule, not by timing.

    Args:
        data: The ONNX file.
        provider: ``cpu``; ``cuda``: a card, else the processor with a warning; ``auto``: a card where there
            is one, else the processor, which is no warning.
        settings: Options of the CUDA provider that replace the usual ones (measurements).

    Raises:
        ValueError: No such provider.
        Exception: What ONNX Runtime raises for a model that it cannot load: a dozen unrelated types.
    """
    import onnxruntime as ort

    if provider not in PROVIDERS:
        raise ValueError(f"provider: expected one of {', '.join(PROVIDERS)}, found {provider!r}")
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = _SILENT
    why = ""
    if provider != "cpu":
        session, why = _on_card(ort, data, options, {**_OPTIONS, **(settings or {})})
        if session is not None:
            return Opened(session, "cuda")
    session = ort.InferenceSession(data, options, providers=[_CPU])
    return Opened(session, "cpu", why if provider == "cuda" else "")


def _on_card(ort: Any, data: bytes, options: Any, settings: dict[str, str]) -> tuple[Any, str]:
    """The session on the card, or None and why not."""
    if _CUDA not in ort.get_available_providers():
        return None, (
            "compute.provider: cuda was asked for, this ONNX Runtime cannot use it; run on the processor "
            "(pip uninstall onnxruntime; pip install 'onnxruntime-gpu[cuda,cudnn]')"
        )
    said = io.StringIO()
    with contextlib.redirect_stdout(said):  # it prints what it cannot load; stdout belongs to results
        ort.set_default_logger_severity(_SILENT)
        try:
            if hasattr(ort, "preload_dlls"):  # finds the libraries of CUDA where pip has put them
                ort.preload_dlls()
            session = ort.InferenceSession(data, options, providers=[(_CUDA, settings), _CPU])
            found = _CUDA in session.get_providers()
            reason = "" if found else _first(said.getvalue(), "the card or a library of CUDA is missing")
        except Exception as error:  # a driver that is too old, no memory left …: the processor still can
            found, reason = False, _first(str(error), type(error).__name__)
    if found:
        return session, ""
    return None, f"compute.provider: cuda was asked for and did not start; run on the processor ({reason})"


def _first(text: str, otherwise: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip(" *")]
    return lines[0][:200] if lines else otherwise
