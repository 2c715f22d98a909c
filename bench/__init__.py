"""Measures what the README claims; each row beside a baseline of the same run."""
