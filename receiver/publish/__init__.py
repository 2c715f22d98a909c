"""The processes of the outputs: the journal to opened blocks, and an alarm where something stays shut."""
