"""What is done with damaged history files: looked at, set aside, made again from what is sure."""
