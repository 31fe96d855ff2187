"""Attempts of one task become one tree."""
