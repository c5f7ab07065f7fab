"""D-Bus on trio: a connection that is restored, a tree of objects, and a bounded queue."""
