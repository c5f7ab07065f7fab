"""The decisions: which NICs are a pair and why not, which slave carries, what devices are called. Plain functions."""
