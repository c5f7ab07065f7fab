"""failoverd-etcd: the links that etcd declares for this machine, and what has become of them, back to etcd.

    main        the command line: the service, and what failoverctl hands over to it
    service     the service's tasks, around what is pure
    control     its socket, for root
    client      etcd's calls, by gRPC
    follow      one watch after the other, from connection to loss
    report      what is written to etcd: states of links and masters
    messages    etcd's messages
    keeping     the file that the daemon reads, and that a start goes on from
    declared    the values: which are in force
    history     the keys: what was seen of them in one continuous history
    keys        what keys are called
    contact     how it stands with etcd

history, declared, keys and keeping's form are pure: no loop, no socket, no clock.
"""
