"""The writing thread and its files: the journal, and what of it is remembered for ever."""
