"""The ground under both ends of the link: what the kernel must be told, how it is told, and whether it was.

Both sides install it. It knows the protocol's errors and nothing of sender or receiver. The auditor's kit reads the
same state with its own eyes and shares no code with this room, so that one mistake cannot hide in both.
"""
