"""The commands: failoverd, failoverctl, failoverd-lab."""
