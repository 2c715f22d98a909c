"""The secured connection: what the configuration asks for, the client made so, whom it trusts, what it was asked."""
