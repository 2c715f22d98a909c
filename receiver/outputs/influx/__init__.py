"""Samples as InfluxDB line protocol, to a server that may be down, full or wrong for as long as it likes."""
