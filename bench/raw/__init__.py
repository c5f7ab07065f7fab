"""What failoverd's reaction is measured with and beside: a tap on netlink sockets, a loop in C, a script with ip(8)."""
