"""The machine's interfaces with their addresses and gateways: the facts, and the answers made of them.

Pure, as policy is. `netlink/inventory.py` reads the facts, `daemon/inventory.py` keeps them while clients ask.
"""
