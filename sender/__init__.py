"""Left of the link; knows nothing to the right. `poll` talks to devices and writes the spool, `emit` sends it one way."""
