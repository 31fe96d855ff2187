"""Formats of agents that change code."""
