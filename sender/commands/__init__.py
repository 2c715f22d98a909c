"""What people type on the high side; each command reads its arguments, calls what does the work, and prints."""
