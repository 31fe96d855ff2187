"""Tails and contexts of samples: which steps are needed, and what is left out."""
