"""What the machine says of itself: interface, processes, what they have loaded, what they cannot call."""
