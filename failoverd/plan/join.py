"""From two NICs to a master with two slaves, with the traffic hardly noticing.

The order is what keeps it quiet. First the bond is made and takes the VF, while the paravirtual NIC goes on carrying.
Only when the VF shows its carrier (or will not in time), one datagram does the rest: see handover. On kernels before
6.2 neither an UP NIC nor an UP bond can be renamed, which is why the bond stays down until then; it costs nothing on
newer ones.

Before the first step that can lose an address, everything is in a journal on disk.
"""

from __future__ import annotations

from dataclasses import replace

from failoverd.model.links import Link
from failoverd.model.pairs import Goal, Inet, Journal
from failoverd.model.requests import AddAltname
from failoverd.plan import moving, names
from failoverd.plan.handover import handover, is_vf_in_use
from failoverd.plan.inplace import join_in_place
from failoverd.plan.release import afterwards
from failoverd.plan.situation import Do, GiveUp, Next, Rest, Situation, Wait, Write
from failoverd.policy.naming import mark, new_mark, why_not_a_name

GLANCE = 0.05
"""Seconds between two looks at whether a NIC is let go, which nobody tells."""


def join(s: Situation) -> Next:
    """Name the next step toward a joined pair."""
    if s.datapath.in_place:
        # What a bond had begun to move is given back first.
        return afterwards(s, s.journal) if s.journal is not None else join_in_place(s)
    if s.master is None:
        return _create(s)
    if mark(s.mac) not in s.master.altnames:
        return _mark(s, s.master)
    journal = s.under_way(Goal.JOINED)
    if journal is not None:
        return handover(s, s.master, journal)
    if s.is_passing() or s.journal is not None:
        return _prepare(s, s.master)
    return _take(s, s.nic) or _take(s, s.vf) or Rest(s.now + GLANCE if s.is_held(s.nic) else None)


def _create(s: Situation) -> Next:
    nic = s.nic
    if nic is None:
        return Rest()
    if nic.ifindex not in s.ready:
        return Wait(f"udev is not done with {nic.name} yet")
    if reason := why_not_a_name(nic.name):
        return GiveUp(f"{nic.name!r} cannot be the master's name: {reason}; rename the NIC first")
    requests = s.datapath.create(s.mac, nic, s.config)
    if refusal := s.refusal(requests):
        why = f"no master for {nic.name}: {refusal}"
        return GiveUp(why) if s.under_way(Goal.JOINED) else Wait(why)
    return Do(tuple(requests), f"make a master for {nic.name}")


def _mark(s: Situation, master: Link) -> Next:
    """Without its mark, failoverd would not know the master again as soon as it has the NIC's name."""
    requests = tuple(AddAltname(master.ifindex, name) for name in (new_mark(s.mac), mark(s.mac)))
    if refusal := s.refusal(requests):
        return GiveUp(f"{master.name} could not be marked as made by failoverd: {refusal}")
    return Do(requests, f"mark {master.name} as made by failoverd")


def _prepare(s: Situation, master: Link) -> Next:
    """The master is not in use yet: write down what there is, give it the VF, wait for the carrier."""
    nic, journal = s.nic, s.journal
    if nic is None:
        return GiveUp(f"the paravirtual NIC that {master.name} was made for is gone or held; see failoverctl explain")
    if nic.ifindex not in s.ready:
        return Wait(f"udev is not done with {nic.name} yet")
    if journal is None or journal.toward is not Goal.JOINED:
        return _first_look(s, nic)
    if is_vf_in_use(journal):
        if s.vf is not None and s.vf.ifindex not in s.ready:
            return Wait(f"udev is not done with {s.vf.name} yet")
    elif step := _take(s, s.vf, journal) or _await_carrier(s):
        return step
    if step := names.remember_nic(s, nic) or s.look_at(nic):
        return step
    return Write(replace(_describe(s, nic, journal), cut=True))


def _await_carrier(s: Situation) -> Wait | None:
    if s.is_in(s.vf) and not s.can_carry(s.vf) and s.vf_wait is not None and s.now < s.vf_wait:
        return Wait("the VF has no carrier yet", s.vf_wait)
    return None


def _first_look(s: Situation, nic: Link) -> Next:
    if look := s.look_at(nic, s.vf):
        return look
    for link in (nic, s.vf):
        if link is not None and (reason := moving.why_not_movable(s.seen(link))):
            return GiveUp(f"{link.name}: {reason}; take that route away or write it without the object")
    return Write(_describe(s, nic, Journal(s.mac, Goal.JOINED, nic.name, nic.up, nic.mtu, extra=s.seen(s.vf))))


def _describe(s: Situation, nic: Link, journal: Journal) -> Journal:
    """What the master has to be. Where only the VF was in use, the master is up although the NIC was not."""
    up = nic.up or moving.adds_to(Inet(), journal.extra)
    name = names.master_name(s, nic)
    altnames = names.others(s, nic, name)
    return replace(journal, name=name, up=up, mtu=nic.mtu, altnames=altnames, inet=s.seen(nic), nic=nic.ifindex)


def _take(s: Situation, slave: Link | None, journal: Journal | None = None) -> Next | None:
    """Enslave a NIC, if there is one to be had, without the addresses somebody gave it.

    As long as the configuration is not on the master, they are written down and go there, too. Afterwards they are
    the doing of a DHCP client or an agent that took the slave for the machine's NIC.
    """
    master = s.master
    if slave is None or master is None or s.is_in(slave) or s.is_held(slave):
        return None
    if slave.ifindex not in s.ready:
        return Wait(f"udev is not done with {slave.name} yet")
    requests = s.may(s.datapath.attach(slave, master))
    if not requests:
        return None
    name = names.name_vf(s, slave, journal.name if journal is not None else master.name) if slave is s.vf else []
    if isinstance(name, Do):
        return name
    if look := s.look_at(slave):
        return look
    seen = s.seen(slave)
    if journal is not None and not moving.is_in(seen, journal.extra):
        return Write(replace(journal, extra=moving.union(journal.extra, seen)))
    *down, enslave = requests
    return Do((*moving.drop_all(seen), *down, *name, enslave), f"enslave {slave.name} to {master.name}")
