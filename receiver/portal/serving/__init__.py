"""The listening side of the pages: sockets, bounds, and what every request must have."""
