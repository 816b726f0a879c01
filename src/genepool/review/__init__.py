"""Ask people where machines are unsure, and keep what they say.

Judgements come from people only: no program of this package makes a verdict. Unverified images are shown in a
recorded random order (`queue`), with controls and repeats mixed in; `sampled_verdicts` is what an auditor
reads; `board` says how good and how agreed the reviewers are; `preference_scores` turns pairwise votes into a
score from 0 to 10.
"""

from __future__ import annotations

from genepool.review._agreement import Agreement, agreement, gwet_ac1, krippendorff_alpha
from genepool.review._board import Board, Rate, ReviewerBoard, board, judge_standings
from genepool.review._carry import carry_qualification
from genepool.review._draw import Population, order, population_of
from genepool.review._exchange import export_verdicts, export_votes, import_verdicts
from genepool.review._judges import Judges, captions_of, judge_images, scores_table
from genepool.review._ladder import Ladder, Rung, load_ladder
from genepool.review._mixture import Mixture, Progress
from genepool.review._open import queue, sampled_verdicts
from genepool.review._pairs import Pair, PairQueue
from genepool.review._persons import is_person
from genepool.review._pictures import Pictures, render
from genepool.review._plugged import ModelColumn, open_preference_model, score_column
from genepool.review._plugged_hf import TransformersPreference
from genepool.review._plugged_onnx import OnnxPreference
from genepool.review._preference import (
    Fit,
    PositionBias,
    PreferenceReport,
    PreferenceScore,
    fit_votes,
    preference_scores,
)
from genepool.review._proxy import Proxy, VoteAgreement, learn_proxy, vote_agreement
from genepool.review._queue import ReviewQueue
from genepool.review._recorder import Recorder, record_in_log
from genepool.review._sheets import read_sheet, write_sheets
from genepool.review._validator import HumanInLoopValidator, Question, ReviewStatus

__all__ = [
    "Agreement",
    "Board",
    "Fit",
    "HumanInLoopValidator",
    "Judges",
    "Ladder",
    "Mixture",
    "ModelColumn",
    "OnnxPreference",
    "Pair",
    "PairQueue",
    "Pictures",
    "Population",
    "PositionBias",
    "PreferenceReport",
    "PreferenceScore",
    "Progress",
    "Proxy",
    "Question",
    "Rate",
    "Recorder",
    "ReviewQueue",
    "ReviewStatus",
    "ReviewerBoard",
    "Rung",
    "TransformersPreference",
    "VoteAgreement",
    "agreement",
    "board",
    "captions_of",
    "carry_qualification",
    "export_verdicts",
    "export_votes",
    "fit_votes",
    "gwet_ac1",
    "import_verdicts",
    "is_person",
    "judge_images",
    "judge_standings",
    "krippendorff_alpha",
    "learn_proxy",
    "load_ladder",
    "open_preference_model",
    "order",
    "population_of",
    "preference_scores",
    "queue",
    "read_sheet",
    "record_in_log",
    "render",
    "sampled_verdicts",
    "score_column",
    "scores_table",
    "vote_agreement",
    "write_sheets",
]
