"""How samples of the history become bytes: hot groups, chunks with their roll-ups, current values (all pure)."""
