"""failoverd on D-Bus: interfaces as a table, the state as objects, the calls, and the task on the bus (presence.py)."""
