"""What catch says of itself: counts, warnings, gap codes, and what came of a linktest."""
