"""Frames that ask for an answer, and the count of what came back."""
