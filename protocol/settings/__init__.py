"""Reading of settings: one file of TOML, its tables by their models, and every mistake in it told at once."""
