"""The planner: from the wanted and the seen state to the next step. A plan may be cut after any step; planning again
brings out the rest.
"""
