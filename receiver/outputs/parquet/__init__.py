"""Hourly Parquet files in a folder."""
