"""What a question to the history is answered with beside samples: an account of each asset, marks of quality."""
