"""What `checkvalve doctor` of either side stands on: the order of troubles, and what is read of this machine."""
