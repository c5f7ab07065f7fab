"""One story, several worlds: the scenario runner, the simulated kernel, real guests, the timeline picture."""
