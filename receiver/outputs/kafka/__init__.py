"""Samples as messages of JSON lines in a topic of Apache Kafka, keyed by asset."""
