"""An atelier's own parts for genepool: one plug-in of every kind."""
