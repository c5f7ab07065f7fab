"""Netlink: bytes to the model and back, sockets on trio, and udev's monitor."""
