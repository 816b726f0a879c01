"""The worker process: ``python -m genepool.engine._worker FD FD``.

Started as a program of its own rather than through `multiprocessing`, so that it never imports the caller's
main module: genepool works from a notebook, from ``python -c``, from standard input, and from scripts without
an ``if __name__ == "__main__"`` guard.
"""

from __future__ import annotations

import contextlib
import gc
import mmap
import os
import pickle
import signal
import sys
import threading
import traceback
from multiprocessing.connection import Connection
from typing import Any

from genepool.compute import lean
from genepool.engine import _progress

READY, DONE, FAILED = "ready", "done", "failed"


def main(channel: int, memory: int) -> None:
    """Serve units until the parent closes the channel.

    Args:
        channel: Descriptor of a socket: first the job, then units, each answered by one message.
        memory: Descriptor of the shared page for `_progress.beat`.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    connection = Connection(channel)
    page = mmap.mmap(memory, mmap.PAGESIZE)
    os.close(memory)
    _progress.attach(page)
    gc.disable()  # loading makes many objects, and hardly any garbage
    try:
        settings = connection.recv()
        sys.path[:] = settings["path"]
        # The job was pickled by our parent, on a private socket: as trusted as our own memory.
        job = pickle.loads(settings["job"])  # noqa: S301
        job.prepare()
        lean()
        gc.freeze()  # what is loaded now stays: the collector need not look at it again
        gc.enable()
        connection.send((READY, None))
        _watch(settings["life"])
        _serve(connection, job)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass  # the parent is gone or done with us
    except BaseException as error:
        with contextlib.suppress(OSError):
            connection.send((FAILED, describe(error)))
    # No interpreter tear-down: native libraries with threads of their own are slow, or crash, at exit.
    os._exit(0)


def _serve(connection: Connection, job: Any) -> None:
    while True:
        unit = connection.recv()
        try:
            answer = (DONE, job(unit))
        except MemoryError:
            os._exit(137)  # as if the kernel had killed us: the unit is narrowed down
        except BaseException as error:
            answer = (FAILED, describe(error))
        connection.send(answer)


def describe(error: BaseException) -> Any:
    """The error itself where it is ours and survives pickling, else its text."""
    from genepool.errors import GenepoolError

    if isinstance(error, GenepoolError):
        return error
    return "".join(traceback.format_exception(error)[-3:])


def _watch(life: int) -> None:
    """End at once when the parent dies, even in the middle of a unit: its parts are atomic."""

    def wait() -> None:
        with contextlib.suppress(OSError):
            os.read(life, 1)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
