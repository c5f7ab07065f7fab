"""The [link.NAME] tables: TOML or JSON to the ends of model/declared.py.

`spec` is the table of their keys. It is imported only where there is such a table, as a start without one must not wait
for it.
"""
