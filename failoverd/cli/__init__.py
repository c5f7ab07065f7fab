"""The commands: failoverd, failoverctl, failoverd-hooks."""
