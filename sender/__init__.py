"""Left of the link; knows nothing to the right. `poll` reads devices into the spool, `emit` sends it one way."""
