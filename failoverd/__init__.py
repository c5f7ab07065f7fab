"""failoverd: keeps a virtual machine's traffic flowing while its SR-IOV VF comes and goes."""

__version__ = "0.1.0"
