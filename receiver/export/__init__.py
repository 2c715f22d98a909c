"""What was kept, as files for other programs: CSV and Parquet."""
