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

It depends on grpcio and protobuf, which speak etcd's own protocol. Both are in Debian 12 and 13 (1.51, 3.21) and kept;
one process of its own has them, so the daemon loads neither. Rejected: etcd's JSON gateway, which is off under a
configuration file in 3.4, knows no user by certificate, and fails where the server's certificate is for servers alone;
python3-etcd3 (in both, last release 2020; threads around the same grpcio) and python3-etcd3gw (the gateway); grpclib,
which is not in Debian 12.
"""
