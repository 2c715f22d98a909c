"""Signing in to the pages: who asks, and what that person may be shown at all."""
