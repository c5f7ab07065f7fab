"""The step that enslaves a NIC to an existing master: in a join, and while a release waits for its NIC."""

from __future__ import annotations

from dataclasses import replace

from failoverd.model.links import Link
from failoverd.model.pairs import Journal
from failoverd.plan import inet_sets, names, transfer
from failoverd.plan.situation import Do, Next, Situation, Wait, Write


def enslave(s: Situation, slave: Link | None, journal: Journal | None = None) -> Next | None:
    """Enslave a NIC, if there is one to be had, without the addresses that another program has given it.

    As long as the configuration is not on the master, these addresses are written to the journal and move there, too.
    Afterwards they come from a DHCP client or an agent that took the slave for the machine's NIC, and are dropped.
    """
    master = s.master
    if slave is None or master is None or s.is_in(slave) or s.is_held(slave):
        return None
    if slave.ifindex not in s.ready:
        return Wait(f"udev is not done with {slave.name} yet")
    requests = s.may(s.datapath.attach(slave, master))
    if not requests:
        return None
    called = journal.name if journal is not None else master.name
    name = names.name_vf(s, slave, called) if slave is s.vf else names.name_standby(s, slave, called)
    if isinstance(name, Do):
        return name
    if look := s.look_at(slave):
        return look
    seen = inet_sets.own(s.seen(slave))
    if journal is not None and not inet_sets.is_in(seen, journal.extra):
        return Write(replace(journal, extra=inet_sets.union(journal.extra, seen)))
    *down, enslave = requests
    return Do((*transfer.drop_all(seen), *down, *name, enslave), f"enslave {slave.name} to {master.name}")
