"""A side's folder in one file, taken while the side runs, and made into a folder again: `backup`, `restore`."""
