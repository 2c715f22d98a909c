"""Long lists: the tags of an asset by the paths of their names, in parts that a page holds; the plant's assets in numbers."""
