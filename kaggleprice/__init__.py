"""From a tabular regression competition's CSVs to an ensembled submission, honestly scored."""

__version__ = "0.1.0"
