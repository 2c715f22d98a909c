"""A plant in a box: false PLCs for three protocols and a bad one-way link. Shares no code with the collectors."""
