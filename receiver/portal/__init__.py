"""The pages that vendors read: historian and status in, HTML and events out. Never the link, never a key."""
