"""The plant behind the devices: every value at any instant, as a function of scene, seed and time."""
