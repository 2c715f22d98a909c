"""What somebody must look at: alerts raised, acknowledged, and told to security."""
