"""Environments while they are used: at a node, in a pool, on a thread, in a replay."""
