"""Netlink: bytes to the model and back, sockets on trio, and udev's monitor.

pyroute2's codec reads links (codec.py). Addresses, routes, tc and bystanders are read and written by hand: they have to
come back as they were, or are too many for the codec. Property tests and a real kernel are the judge.
"""
