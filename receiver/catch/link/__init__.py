"""Which link session is the present one, and which frames wait for their LINK."""
