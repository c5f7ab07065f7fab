"""The frame of every benchmark: alternating runs, their statistics, the machine, rows of results.json, the picture.

A benchmark measures failoverd beside something else, by turns and in one run, so that whatever else the machine does
falls on both. A run of a benchmark gives one number for each side, and their ratio; the row tells the median of the
ratios of at least `turns.LEAST` runs, and the least and the greatest. See `row.Row` for what a row says.
"""
