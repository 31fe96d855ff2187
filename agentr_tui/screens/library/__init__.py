"""The library of traces, and the form of a new search."""
