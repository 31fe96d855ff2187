"""Formats of harnesses that evaluate agents."""
