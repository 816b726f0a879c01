"""What would fill a section that has nothing to show: one line and its command."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, NamedTuple

from genepool.report._text import printable

if TYPE_CHECKING:
    from genepool.records import Decision
    from genepool.store import Catalogue

__all__ = ["Fill", "fills"]


class Fill(NamedTuple):
    """A sentence, and the command that it ends in (empty: nothing need be done)."""

    text: str
    command: str


def fills(decision: Decision, catalogue: Catalogue | None) -> dict[str, Fill]:
    """Section → line, for every section that can be without data."""
    path = shlex.quote(decision.uri)
    workspace = getattr(catalogue, "workspace", None)
    root = getattr(workspace, "root", None)
    place = shlex.quote(str(root)) if root is not None else f"{path}.genepool"
    lines = {
        "origins": ("Nothing is known of origins.", f"genepool check {path}"),
        "slices": (
            "No slice is large enough. Sidecars that name artist, style or source make slices.",
            f"genepool check {path}",
        ),
        "pedigree": (
            "No model and no cohort of human work is registered.",
            "genepool register model NAME --trained-on COHORT",
        ),
        "detector": ("No detector has looked at the images.", f"genepool detect {path}"),
        "calibration": (
            "Labelled controls make scores into votes: folders human and ai.",
            f"genepool calibrate CONTROLS --workspace {place}",
        ),
        "history": (
            "One state of the set has been checked; the next one adds a point.",
            f"genepool check {path}",
        ),
        "styles": ("No style vector was kept.", f"genepool scan {path} --rescan"),
        "lost": (
            "Styles lost since an earlier generation, or since the human original:",
            f"genepool diversity {path} --reference EARLIER",
        ),
        "degradation": (
            "Nothing was kept of the model's generations.",
            f"genepool degradation GEN1 GEN2 --reference HUMAN --workspace {place}",
        ),
        "duplicates": ("No image repeats another one.", ""),
        "aside": ("Nothing was set aside.", ""),
        "rights": (
            "No file carries a rights signal, and no sidecar a licence.",
            f"genepool check {path}",
        ),
        "review": ("Nobody has looked at these images.", f"genepool review {path}"),
        "costs": ("No costs were reckoned for this set.", f"genepool cost --workspace {place}"),
    }
    return {name: Fill(text, printable(command, 400)) for name, (text, command) in lines.items()}
