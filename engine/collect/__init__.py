"""Collecting: many searches in worker processes, resumable."""
