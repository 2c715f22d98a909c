"""What stands beside the line in a chart of one tag: times of bad and uncertain quality, and of what was healed."""
