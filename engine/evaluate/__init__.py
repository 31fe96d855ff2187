"""Evaluating: how an actor does alone, from a mistake on, and how searches compare on the same tasks."""
