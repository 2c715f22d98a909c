"""What the pages cost: answers, a browser's time to a drawn page, viewers of live values."""
