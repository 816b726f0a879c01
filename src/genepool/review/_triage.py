"""Which images settle most when somebody looks at them, and why they are asked about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["disagree", "still_open", "undecided", "why_asked"]


def undecided(origins: pa.Table) -> list[int]:
    """Rows whose origin is not settled."""
    status = origins.column("status").to_numpy(zero_copy_only=False)
    found: list[int] = np.flatnonzero(status != "settled").tolist()
    return found


def disagree(answers: dict[str, str]) -> bool:
    """Whether people contradict each other."""
    return {"human", "ai"} <= set(answers.values())


def still_open(answers: dict[str, str], reviewer: str | None) -> bool:
    """Whether an image still needs a look, by this person: nobody has decided, or the votes are tied."""
    if reviewer is not None and reviewer in answers:
        return False
    decided = [answer for answer in answers.values() if answer != "unsure"]
    return 2 * decided.count("human") == len(decided)


def why_asked(status: str, copies: int, p: float) -> str:
    """Why people are asked about an image, in one sentence."""
    if status == "settled":
        return "its origin is verified: a control"
    disputed = status == "disputed"
    reason = "its evidence contradicts itself" if disputed else "nothing decisive is known about it"
    more = f"; one answer speaks for {copies} equal files" if copies > 1 else ""
    return f"{reason} (p(human) = {p:.2f}){more}"
