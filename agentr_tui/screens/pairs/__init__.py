"""The pairs screen."""
