"""Explains a search to screens and reports: why, when, and how trajectories differ."""
