"""The configuration: TOML documents to one Config; errors name file, line and key.

Other rooms read `spec` and nothing else; `load` is the only module that opens files.
"""
