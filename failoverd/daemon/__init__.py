"""The shell: the nursery, the engine loop, sdnotify, the state directories, the control socket, D-Bus."""
