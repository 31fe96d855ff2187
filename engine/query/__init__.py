"""Queries on nodes, and finding the nodes that they match."""
