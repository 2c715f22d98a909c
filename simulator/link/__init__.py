"""The bad link, and the namespaces that it may run in."""
