"""The laws that every output keeps, for its author's own tests; nothing here is imported by the product."""
