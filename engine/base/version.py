"""The version of this package, as traces and reports name it."""

__version__ = "0.1.0"
