"""Samples as messages of an MQTT broker: JSON, or Sparkplug B."""
