"""An asset's report for a range of time: gathered, drawn and written, as a page, a file, and on a schedule."""
