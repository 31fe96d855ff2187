"""Screens that the Search screen puts on top of itself."""
