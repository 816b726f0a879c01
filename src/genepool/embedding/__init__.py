"""Images to vectors: the scan's embedding probe and the embedders behind it.

`ClassicalEmbedder` needs no weights; others come in through the plug-in group ``genepool.embedders``.
`EmbeddingProbe` runs the configured one once per image; `diversity` and `detection` read its vectors.
"""

from __future__ import annotations

from genepool.embedding._classical import ClassicalEmbedder
from genepool.embedding._house import SIDE, HouseEmbedder, Look, middle
from genepool.embedding._probe import EmbeddingProbe

__all__ = ["SIDE", "ClassicalEmbedder", "EmbeddingProbe", "HouseEmbedder", "Look", "middle"]
