"""Random histories of everything that can happen to a machine, run on the simulated kernel, and judged.

    draw        a seed makes a history: a machine, a configuration, and events one after the other
    events      what happens to it: the host, administrators, other programs, a failing kernel, a disk
    faults      what happens to the daemon's datagrams, its files and its actions
    machine     the pairs' machine, with a daemon that is started, stopped and killed
    ledger      the daemon's requests, and what they did to the machine's configuration
    look        the simulated kernel as a machine for the invariants (failoverd_lab/invariants.py)
    story       the history, then quiet, then a restart, then a release of everything
    run         one seed, or thousands on all cores
    shrink      the shortest history that still breaks the same invariant

All randomness comes from the seed, trio's scheduling included: a seed gives the same story every time.
"""
