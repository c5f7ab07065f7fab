"""Bytes to model and back on pyroute2's codecs, the trio socket, udev's monitor."""
