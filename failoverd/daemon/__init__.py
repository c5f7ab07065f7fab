"""The shell around the pure core: nursery, engine loop, sdnotify, state directories, control socket, D-Bus."""
