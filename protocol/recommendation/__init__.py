"""What somebody proposes, as a signed file that a person carries to the high side: read, never executed."""
