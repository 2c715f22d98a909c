"""What people type on the low side; each command reads its arguments, calls what does the work, and prints."""
