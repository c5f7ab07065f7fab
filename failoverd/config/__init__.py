"""TOML documents -> specs; errors name file, line and key.

`spec` is what the lower-floor rooms read, and all they read; `load` is the only module that opens files.
"""
