"""Trips and alarms on the pages: what stands, in which order it came, and every event that was told."""
