"""The history of every sample, in files of our own: one process writes (`store`), others read through one door (`read`)."""
