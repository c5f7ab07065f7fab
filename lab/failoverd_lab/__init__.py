"""The lab: one story in several worlds. Scenario runner, simulated kernel, real guests, timeline picture."""
