"""The history of every sample, in files of our own: one process writes (`store`), others read by one door (`read`)."""
