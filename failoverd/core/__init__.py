"""The engine's core: the state that is seen (world) and what follows from it (step). No sockets, no clock, no trio."""
