"""Events beyond the newest: what stands of them, and those that fit a question."""
