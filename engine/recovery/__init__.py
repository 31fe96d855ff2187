"""Searches from just after a wrong step: repairs, and whether an actor recovers."""
