"""Environments behind AgentGym's servers."""
