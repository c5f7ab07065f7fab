"""failoverd-cni: a CNI plugin that makes VLANs in a pod, on the interface that the plugin before it made, and has
failoverd make links of pods on a failover master.

    main            one command: variables and network configuration in, a result or an error object out
    add | delete | check | delegated
                    the commands; `delegated` is what IPAM plugins and failoverd answer (GC, STATUS)
    attach          a link on a failover master, which failoverd makes
    result          the previous result, extended
    pod | ipam | control
                    the pod's network namespace; the IPAM executables; failoverd's control socket
    netconf | variables
                    what the runtime passes, validated
    netlink | inet | fastjson | versions | errors
                    bytes of rtnetlink, addresses, JSON, the versions of the specification, error objects

A runtime starts the plugin for each pod and each command, thirty at a time, and importing is most of a small Python
program's time. So no module imports anything of the standard library that is not built in, except `struct`. rtnetlink
and JSON are its own (pyroute2's codec takes longer to import than an ADD takes), and it imports neither failoverd nor
what that depends on: it runs on hosts that need no daemon, and the package failoverd does not grow by it.
"""

__version__ = "0.1.0"
