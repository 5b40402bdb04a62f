"""Scores against the simulated truth."""
