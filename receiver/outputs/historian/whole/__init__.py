"""The history from one end to the other: in which order it came, and reading all of it in bounded memory."""
