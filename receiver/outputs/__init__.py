"""Where opened samples go: one folder an output, each with its own cursor in its own store."""
