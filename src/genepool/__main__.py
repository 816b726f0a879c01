"""``python -m genepool``."""

from genepool.cli import main

main()
