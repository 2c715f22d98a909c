"""What catch says of itself: counts, rates, and what came of a linktest; figures, no wording."""
