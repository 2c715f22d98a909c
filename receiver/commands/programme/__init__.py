"""What people type around reading: evidence of a month, alerts, the roster, the break-glass credential."""
