"""Governed reading: named people, what they may read until when and by whose approval, and the trail of all of it."""
