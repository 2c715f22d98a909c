"""What a process does to itself and says of itself, on both sides: confinement, status, doorbell, a full disk."""
