"""Rollouts of other harnesses: reading their files into attempts, one small module a format."""
