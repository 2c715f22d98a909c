"""What people keep on their desk: saved views, notes, thresholds of their own; `state/desk.db`."""
