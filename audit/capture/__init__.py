"""Captures of the link, read offline."""
