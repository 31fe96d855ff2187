"""Revision thoughts: who writes them, the mistake that they name, and what they must not quote."""
