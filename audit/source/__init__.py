"""What the code asks for, and whether it is what was installed."""
