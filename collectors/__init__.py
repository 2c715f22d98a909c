"""Leftmost room: reads plant devices, never writes to one. Knows the protocol's columns and nothing to the right."""
