"""The queue of samples under review."""
