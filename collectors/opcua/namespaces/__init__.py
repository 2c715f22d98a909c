"""What a namespace is: its uri, wherever a server counts it, over restarts of both sides."""
