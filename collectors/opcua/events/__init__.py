"""Alarms and events of an OPC UA server: what stands, what has happened, and what it is called."""
