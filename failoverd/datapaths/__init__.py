"""The ways to join a pair, one file each. All that a datapath does comes out as requests to the kernel."""
