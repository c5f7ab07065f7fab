"""The doorkeeper's room: what references to network namespaces lead to, and sockets from inside of them.

    failoverd --watch, open--> socket (systemd's) --> failoverd-netns --> /run/netns, /proc, the runtimes' sockets

The daemon has none of the capabilities that entering a namespace takes, and talks to no container runtime. This process
has them, and nothing else to do. It keeps no namespace alive: a file or a socket of one is closed before the request is
over, as an open one delays the end of the namespace and of all that is in it.
"""
