"""How a pair is joined, one file each. Everything a datapath does comes out as requests to the kernel."""
