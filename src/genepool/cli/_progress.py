"""The bar on stderr: images, rate, time left, set aside. Only on a terminal."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.progress import Task
    from rich.text import Text

__all__ = ["progress"]

Report = Callable[[int, int, int, float], None]


@contextlib.contextmanager
def progress(label: str = "scan") -> Iterator[Report | None]:
    """A bar while a block runs.

    ``with progress() as report:`` and then, inside, ``scan(..., progress=report)``.

    Yields:
        A function for the ``progress`` argument of `genepool.scan.scan` and `genepool.pipeline.check`, or
        None when stderr is not a terminal. The bar disappears at the end; a new scan begins a new bar.
    """
    if not sys.stderr.isatty():
        yield None
        return
    with _bar() as bar:
        started = time.monotonic()
        task: Any = None

        def report(done: int, total: int, aside: int, rate: float) -> None:
            nonlocal task, started
            if task is None or done == 0:
                if task is not None:
                    bar.remove_task(task)
                task = bar.add_task(label, total=total, aside="", rate="", left="")
                started = time.monotonic()
            bar.update(
                task,
                completed=done,
                aside=f"{aside:,} set aside" if aside else "",
                rate=f"{rate:,.0f} images/s" if rate else "starting workers",
                left=f"{_clock((total - done) / rate)} left" if rate and done < total else "",
            )

        yield report


def _bar() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn

    class Field(ProgressColumn):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.field = name

        def render(self, task: Task) -> Text:
            from rich.text import Text

            return Text(str(task.fields.get(self.field, "")))

    return Progress(
        "{task.description}",
        BarColumn(),
        MofNCompleteColumn(),
        Field("rate"),
        Field("left"),
        Field("aside"),
        console=Console(stderr=True),
        transient=True,
    )


def _clock(seconds: float) -> str:
    """``75`` → ``1:15``."""
    whole = int(seconds + 0.5)
    hours, rest = divmod(whole, 3600)
    minutes, second = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{second:02}" if hours else f"{minutes}:{second:02}"
