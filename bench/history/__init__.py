"""The historian, measured."""
