"""D-Bus on trio: one connection that comes back, a tree of objects, and a queue that cannot grow without end."""
