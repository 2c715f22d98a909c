"""The pipeline's own health for a monitor: OpenMetrics under `/metrics`."""
