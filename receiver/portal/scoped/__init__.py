"""Each reader within their own scope: a view of the plant a scope, and every look on record."""
