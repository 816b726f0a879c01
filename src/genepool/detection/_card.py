"""The model card of a detector: what it was made of, what was measured, what it cannot do."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

__all__ = ["model_card"]

_FILE = "model-card-detector.md"


def model_card(detector: Any) -> str:
    """Markdown; empty for a detector without a card.

    A plug-in's card is its attribute ``card``. That of the embedded detector is the page of the
    documentation, which the wheel carries beside the model.

    Args:
        detector: As made by its plug-in.
    """
    own = getattr(detector, "card", "")
    if isinstance(own, str) and own:
        return own
    if getattr(detector, "name", "") != "house":
        return ""
    packed = resources.files("genepool.detection").joinpath("model", _FILE)
    # In a checkout nothing was packed: the page itself is there.
    source = Path(__file__).parents[3] / "docs" / _FILE
    for place in (packed, source):
        if place.is_file():
            return place.read_text("utf-8")
    return ""
