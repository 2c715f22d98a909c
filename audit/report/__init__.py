"""Findings made into reports."""
