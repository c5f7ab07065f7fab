"""From two NICs to a master with two slaves, with the least disturbance of the traffic.

    bond made, down, under a passing name (fo<mac>) -> marked by alternative names -> made like the NIC (likeness.py)
    -> VF enslaved, its carrier awaited -> what hangs on the NIC looked for -> journal written
    -> the kernel asked whether it would take the NIC (TryMaster) -> the NIC's VLANs made on the bond (vlans.py)
    -> ONE datagram: see handover.py
    -> NIC enslaved as standby -> look again, put right what is missing -> journal dropped

The order keeps it quiet. The paravirtual NIC goes on carrying until the VF shows its carrier, or its time is over. The
bond stays down until the datagram, for two reasons: kernels before 6.2 do not rename a device that is up; and a bond
that is up beside the NIC would answer the NIC's own duplicate address detection, as both have the same link-local
address.

Nothing moves before it is known that the NIC can be a slave. If the kernel refuses it all the same, everything is given
back, and `datapath = "auto"` chooses again.

Before the first step that can lose an address, everything is in a journal on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from failoverd.datapaths.base import Shape
from failoverd.model.links import Link
from failoverd.model.linktable import LinkTable
from failoverd.model.pairs import Goal, Inet, Journal
from failoverd.model.requests import AddAltname
from failoverd.plan import inet_sets, likeness, names, transfer, vlans
from failoverd.plan.boot_names import take_name
from failoverd.plan.enslave import enslave
from failoverd.plan.handover import equip, handover, is_vf_in_use, look_closely, refused_standby
from failoverd.plan.inplace import join_in_place
from failoverd.plan.leftovers import regain
from failoverd.plan.release import afterwards
from failoverd.plan.situation import Do, GiveUp, Next, Rest, Situation, Wait, Write
from failoverd.policy.naming import invalid_name_reason, mark, new_mark, passing_name, spare_name

GLANCE = 0.05
"""Seconds between two looks at whether a NIC is let go, of which there is no notification."""


def join(s: Situation) -> Next:
    """Name the next step toward a joined pair."""
    if s.journal is None and (first := take_name(s)):
        return first
    return WAYS[s.datapath.shape](s)


def _join_in_place(s: Situation) -> Next:
    """A configuration that a bond had begun to move is given back first."""
    return afterwards(s, s.journal) if s.journal is not None else regain(s, s.nic) or join_in_place(s)


def _join_by_moving(s: Situation) -> Next:
    if s.master is None:
        return _create(s)
    if mark(s.mac) not in s.master.altnames:
        return _mark(s, s.master)
    journal = s.under_way(Goal.JOINED)
    if journal is not None:
        return handover(s, s.master, journal)
    if s.is_passing(s.master) or s.journal is not None:
        return _prepare(s, s.master)
    if s.nic is not None and s.nic.ifindex in s.held_on and (refused := refused_standby(s, s.nic, s.master)):
        return refused
    step = enslave(s, s.nic) or enslave(s, s.vf) or regain(s, s.master)
    return step or Rest(s.now + GLANCE if s.is_held(s.nic) else None)


WAYS: Mapping[Shape, Callable[[Situation], Next]] = {"moving": _join_by_moving, "in place": _join_in_place}


def _create(s: Situation) -> Next:
    nic = s.nic
    if nic is None:
        return Rest()
    if nic.ifindex not in s.ready:
        return Wait(f"udev is not done with {nic.name} yet")
    if reason := invalid_name_reason(nic.name):
        return GiveUp(f"{nic.name!r} cannot be the master's name: {reason}; rename the NIC first")
    if names.master_name(s, nic) == spare_name(s.mac):
        return GiveUp(f"{nic.name!r} cannot be the master's name: a standby of that MAC has it; rename the NIC first")
    requests = s.datapath.create(s.mac, nic, s.config)
    if taken := LinkTable.of(s.links).other(passing_name(s.mac)):
        why = f"no master for {nic.name}: {taken.name} has the name {passing_name(s.mac)}, which the master has while"
        return GiveUp(f"{why} it is made, and failoverd did not make {taken.name}; rename or delete that")
    if refusal := s.refusal(requests):
        why = f"no master for {nic.name}: {refusal}"
        return GiveUp(why) if s.under_way(Goal.JOINED) else Wait(why)
    if not s.under_way(Goal.JOINED) and (step := look_closely(s, nic)):
        return step
    return Do(tuple(requests), f"make a master for {nic.name}")


def _mark(s: Situation, master: Link) -> Next:
    """Mark the master as failoverd's, first with the mark that says that it is new.

    Without its mark, failoverd would not recognize the master once it has slaves. Without the other mark it would take
    the master for joined, so that one has to be there first. A master that has lost its mark has the configuration,
    which must not go with it.
    """
    is_first = s.is_bare(master) and new_mark(s.mac) not in master.altnames
    request = AddAltname(master.ifindex, new_mark(s.mac) if is_first else mark(s.mac))
    if refusal := s.refusal([request]):
        return GiveUp(f"{master.name} could not be marked as made by failoverd: {refusal}")
    return Do((request,), f"mark {master.name} as made by failoverd")


def _prepare(s: Situation, master: Link) -> Next:
    """Prepare a master that is not in use yet: write the journal, give it the VF, wait for the carrier."""
    nic, journal = s.nic, s.journal
    if nic is None:
        return GiveUp(f"the paravirtual NIC that {master.name} was made for is gone or held; see failoverctl explain")
    if nic.ifindex not in s.ready:
        return Wait(f"udev is not done with {nic.name} yet")
    if journal is None or journal.toward is not Goal.JOINED:
        return _first_look(s, master, nic)
    if is_vf_in_use(journal):
        if s.vf is not None and s.vf.ifindex not in s.ready:
            return Wait(f"udev is not done with {s.vf.name} yet")
    elif step := enslave(s, s.vf, journal) or _await_carrier(s):
        return step
    if step := names.remember_nic(s, nic) or look_closely(s, nic):
        return step
    if reason := vlans.unmovable_reason(s, vlans.on(s, nic)):
        return GiveUp(reason, unbondable=True)
    return Write(replace(_describe(s, nic, journal), cut=True, vlans=vlans.described(s, nic)))


def _await_carrier(s: Situation) -> Wait | None:
    if s.is_in(s.vf) and not s.can_carry(s.vf) and s.vf_wait is not None and s.now < s.vf_wait:
        return Wait("the VF has no carrier yet", s.vf_wait)
    return None


def _first_look(s: Situation, master: Link, nic: Link) -> Next:
    if look := s.look_at(nic, s.vf, master):
        return look
    for link in (nic, s.vf):
        if link is not None and (reason := inet_sets.unmovable_reason(s.seen(link))):
            return GiveUp(f"{link.name}: {reason}; take that route away or write it without the object")
    if reason := likeness.unlike_bond_reason(s.seen(nic), nic.name):
        return GiveUp(reason, unbondable=True)
    if step := equip(s, master, s.seen(nic), nic.name):
        return step
    extra = inet_sets.own(s.seen(s.vf))
    return Write(_describe(s, nic, Journal(s.mac, Goal.JOINED, nic.name, nic.up, nic.mtu, extra=extra)))


def _describe(s: Situation, nic: Link, journal: Journal) -> Journal:
    """Describe the master to be. Where only the VF was in use, the master is up although the NIC was not."""
    up = nic.up or inet_sets.adds_to(Inet(), journal.extra)
    name = names.master_name(s, nic)
    altnames = names.others(s, nic, name)
    return replace(journal, name=name, up=up, mtu=nic.mtu, altnames=altnames, inet=_whole(s, nic), nic=nic.ifindex)


def _whole(s: Situation, nic: Link) -> Inet:
    """Return the NIC's configuration, with the rest of an earlier move that the NIC should have had."""
    return inet_sets.union(s.seen(nic), transfer.to_device(s.lost, nic.ifindex)) if s.lost != Inet() else s.seen(nic)
