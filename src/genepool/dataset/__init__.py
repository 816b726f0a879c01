"""Where images come from and where they go: folders, WebDataset shards, Parquet, Hugging Face, memory.

`open` names a set; a `Dataset` lists it in a stable order and reads it in workers, through its source;
`export` writes a subset out again, byte for byte. Nothing here decodes an image but `thumbnail`, for pages
and notebooks, and nothing that is refused disappears: it becomes a `Case`.
"""

from genepool.dataset._croissant import CONTEXT as CROISSANT_CONTEXT
from genepool.dataset._dataset import Dataset, UnionSource, union
from genepool.dataset._export import EXPORT_FORMATS, Manifest, export
from genepool.dataset._far import insist
from genepool.dataset._folder import FolderSource
from genepool.dataset._memory import MemorySource
from genepool.dataset._open import open
from genepool.dataset._parquet import ParquetSource
from genepool.dataset._single import read_files
from genepool.dataset._thumbnail import thumbnail
from genepool.dataset._webdataset import WebDatasetSource
from genepool.dataset._writers import FACTS

__all__ = [
    "CROISSANT_CONTEXT",
    "EXPORT_FORMATS",
    "FACTS",
    "Dataset",
    "FolderSource",
    "Manifest",
    "MemorySource",
    "ParquetSource",
    "UnionSource",
    "WebDatasetSource",
    "export",
    "insist",
    "open",
    "read_files",
    "thumbnail",
    "union",
]
