"""What a page shows, as a file: samples, buckets, gaps or events, CSV or Parquet, from a form without a script."""
