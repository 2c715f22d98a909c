"""The files that both sides keep: the segment store, and the small files of a state folder."""
