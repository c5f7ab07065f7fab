"""The commands: failoverd, failoverctl, failoverd-hooks, failoverd-libvirt, failoverd-netns."""
