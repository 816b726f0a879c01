"""The command line: one file per verb, loaded when the verb is named."""

from genepool.cli._main import main

__all__ = ["main"]
