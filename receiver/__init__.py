"""Right of the link; knows nothing to the left. `catch` listens and journals, `publish` opens and hands on."""
