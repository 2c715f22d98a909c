"""Which devices there are, what their tags do, and what goes wrong when."""
