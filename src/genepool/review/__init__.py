"""Ask people where machines are unsure, and keep what they say.

Judgements come from people only: no program of this package makes a verdict.
"""

from __future__ import annotations

from genepool.review._validator import HumanInLoopValidator, Question, ReviewStatus

__all__ = ["HumanInLoopValidator", "Question", "ReviewStatus"]
