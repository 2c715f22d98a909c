"""The status files of the low side as their readers see them: one typed document a file."""
