"""Long lists: an asset's tags by the paths of their names, a part at a time; the plant's assets in numbers."""
