"""The stores of both sides, compared without a key."""
