"""The `emit` process: the spool to frames, paced, repeated, out by the one socket; it hears nothing."""
