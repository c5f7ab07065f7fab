"""What is seen (world) and what follows from it (step). No sockets, no clock, no trio."""
