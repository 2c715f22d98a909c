"""What the high side keeps of the changes of its configuration: what runs, and what was applied by whom and why."""
