"""Ask people where machines are unsure, and keep what they say.

Judgements come from people only: no program of this package makes a verdict. Unverified images are shown in a
recorded random order (`queue`), with controls and repeats mixed in; `sampled_verdicts` is what an auditor
reads; `board` says how good and how agreed the reviewers are; `preference_scores` turns pairwise votes into a
score from 0 to 10.
"""

from __future__ import annotations

from genepool.review._agreement import Agreement, agreement, gwet_ac1, krippendorff_alpha
from genepool.review._board import Board, Rate, ReviewerBoard, board, judge_standings
from genepool.review._draw import Population, order, population_of
from genepool.review._mixture import Mixture, Progress
from genepool.review._open import queue, sampled_verdicts
from genepool.review._queue import ReviewQueue
from genepool.review._recorder import Recorder, record_in_log
from genepool.review._validator import HumanInLoopValidator, Question, ReviewStatus

__all__ = [
    "Agreement",
    "Board",
    "HumanInLoopValidator",
    "Mixture",
    "Population",
    "Progress",
    "Question",
    "Rate",
    "Recorder",
    "ReviewQueue",
    "ReviewStatus",
    "ReviewerBoard",
    "agreement",
    "board",
    "gwet_ac1",
    "judge_standings",
    "krippendorff_alpha",
    "order",
    "population_of",
    "queue",
    "record_in_log",
    "sampled_verdicts",
]
