"""Samples as rows of PostgreSQL: each once, known by where it was packed, whatever is sent again."""
