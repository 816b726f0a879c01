"""The pixel judges: detectors of machine-made images, what they may say, and when they must be silent.

A detector sees native-scale pixels and nothing else. It abstains where it cannot know, and its opinion is
worth exactly nothing (a log-likelihood ratio of 0) until it was calibrated on labelled controls.
"""

from __future__ import annotations

from genepool.detection._backbones import Backbone, backbone
from genepool.detection._calibration import CAP, Calibration
from genepool.detection._card import model_card
from genepool.detection._controls import Control, Controls, Scored, read_controls, scored
from genepool.detection._detectors import AbstainingDetector
from genepool.detection._fit import calibrate
from genepool.detection._folders import fetch_model
from genepool.detection._house import HouseDetector
from genepool.detection._hub import HuggingFaceDetector
from genepool.detection._linear import ProbeDetector, fit_probe, held_out_logits, save_probe
from genepool.detection._onnx import OnnxDetector
from genepool.detection._opinions import Judge, Opinion, opinion, opinions
from genepool.detection._probe import DetectionProbe
from genepool.detection._shelf import Shelf, keep_calibration, load_calibration

__all__ = [
    "CAP",
    "AbstainingDetector",
    "Backbone",
    "Calibration",
    "Control",
    "Controls",
    "DetectionProbe",
    "HouseDetector",
    "HuggingFaceDetector",
    "Judge",
    "OnnxDetector",
    "Opinion",
    "ProbeDetector",
    "Scored",
    "Shelf",
    "backbone",
    "calibrate",
    "fetch_model",
    "fit_probe",
    "held_out_logits",
    "keep_calibration",
    "load_calibration",
    "model_card",
    "opinion",
    "opinions",
    "read_controls",
    "save_probe",
    "scored",
]
