"""Collecting: many searches in worker processes, resumable; and what they came to, side by side."""
