"""Rows that are not sealed yet, and how they are sealed."""
