"""What poll and emit share on the disk: samples to sealed, numbered blocks, kept before anything of them leaves."""
