"""Asking, deciding and reviewing on the pages: what `receiver/governed/grants/` allows, for people to press."""
