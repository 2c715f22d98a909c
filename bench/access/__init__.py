"""Governed reading: what the trail costs."""
