"""Formats of reinforcement learning: environments, trainers and their dumps."""
