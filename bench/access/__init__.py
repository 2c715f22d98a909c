"""Governed reading: what the trail and signing in cost."""
