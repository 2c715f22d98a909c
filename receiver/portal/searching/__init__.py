"""Search over the whole plant, as far as its reader sees it: assets and tags by name, description, model and place."""
