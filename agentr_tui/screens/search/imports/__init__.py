"""Imported trees on the Search screen."""
