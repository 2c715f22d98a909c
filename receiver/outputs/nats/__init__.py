"""Samples as messages of JSON lines on a stream of NATS JetStream."""
