"""The search engine of agentr: traces, trees, search, verification, path surgery and datasets.

Importable and testable without a terminal: nothing here imports `textual` or `agentr_tui`.
"""

__version__ = "0.1.0"
