"""Modbus TCP, and RTU over TCP: reads coils, inputs and registers. Left of the link; knows nothing to the right."""
