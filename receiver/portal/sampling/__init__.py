"""Many samples at once for programs: by time or by arrival, or in buckets; as JSON, CSV, Parquet or Arrow."""
