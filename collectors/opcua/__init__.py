"""OPC UA: subscribes to, or polls, the variables of a server. Left of the link; knows nothing to the right."""
