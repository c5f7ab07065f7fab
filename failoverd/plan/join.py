"""From two NICs to a master with two slaves, with the traffic hardly noticing.

The order is what keeps it quiet. First the bond is made and takes the VF, while the paravirtual NIC goes on carrying. Only when the
VF shows its carrier (or will not in time), one datagram does the rest: the NIC down and renamed, the bond given its
name, brought up, and the addresses and routes put on it. The kernel works through a datagram in one go, so a crash
of ours finds either nothing of it done or all. On kernels before 6.2 neither an UP NIC nor an UP bond can be renamed,
which is why the bond stays down until then; it costs nothing on newer ones.

Before the first step that can lose an address, everything is in a journal on disk.
"""

from __future__ import annotations

from dataclasses import replace

from failoverd.model.links import Link
from failoverd.model.pairs import Goal, Journal
from failoverd.model.requests import AddAltname, DropAltname, Rename, Request, SetUp
from failoverd.plan import moving
from failoverd.plan.situation import Do, Finish, GiveUp, Look, Next, Rest, Situation, Wait, Write
from failoverd.policy.election import why_unfit
from failoverd.policy.naming import mark, own_altnames, why_not_a_name


def join(s: Situation) -> Next:
    """Name the next step toward a joined pair."""
    if s.master is None:
        return _create(s)
    if mark(s.mac) not in s.master.altnames and (marking := s.may([AddAltname(s.master.ifindex, mark(s.mac))])):
        return Do(marking, f"mark {s.master.name} as made by failoverd")
    if s.nic is None:
        return _take_vf(s) or Rest()
    journal = s.under_way(Goal.JOINED)
    if journal is not None:
        return _move(s, s.master, s.nic, journal)
    if s.is_passing():
        return _prepare(s, s.nic)
    return _settled(s, s.nic)


def _create(s: Situation) -> Next:
    nic = s.nic
    if nic is None:
        return Rest()
    if nic.ifindex not in s.ready:
        return Wait(f"udev is not done with {nic.name} yet")
    if reason := why_not_a_name(nic.name):
        return GiveUp(f"{nic.name!r} cannot be the master's name: {reason}; rename the NIC first")
    requests = s.may(s.datapath.create(s.mac, nic, s.config))
    return Do(requests, f"make a master for {nic.name}") if requests else Wait("the kernel refused to make a master")


def _prepare(s: Situation, nic: Link) -> Next:
    """The master is there with nobody in it: write down what there is, give it the VF, wait for the carrier."""
    journal = s.journal
    if journal is None or journal.toward is not Goal.JOINED:
        return _first_look(s, nic)
    if step := _take_vf(s):
        return step
    if s.is_in(s.vf) and s.master and why_unfit(s.vf, s.master) and s.vf_wait is not None and s.now < s.vf_wait:
        return Wait("the VF has no carrier yet", s.vf_wait)
    if s.inet is None:
        return Look((nic.ifindex,))
    return Write(replace(_describe(nic, journal, s), cut=True))


def _first_look(s: Situation, nic: Link) -> Next:
    links = [link for link in (nic, s.vf) if link is not None]
    if s.inet is None:
        return Look(tuple(link.ifindex for link in links))
    for link in links:
        if reason := moving.why_not_movable(s.seen(link)):
            return GiveUp(f"{link.name}: {reason}; take that route away or write it without the object")
    empty = Journal(s.mac, Goal.JOINED, nic.name, nic.up, nic.mtu, extra=s.seen(s.vf))
    return Write(_describe(nic, empty, s))


def _describe(nic: Link, journal: Journal, s: Situation) -> Journal:
    return replace(
        journal, name=nic.name, up=nic.up, mtu=nic.mtu, altnames=own_altnames(nic), inet=s.seen(nic)
    )


def _take_vf(s: Situation) -> Next | None:
    """Enslave the VF, if there is one to be had."""
    vf, master = s.vf, s.master
    if vf is None or master is None or s.is_in(vf):
        return None
    if vf.ifindex not in s.ready:
        return Wait(f"udev is not done with {vf.name} yet")
    requests = s.may(s.datapath.attach(vf, master))
    if not requests:
        return None
    if s.inet is None and s.journal is None:
        return Look((vf.ifindex,))
    return Do((*moving.drop_all(s.seen(vf)), *requests), f"enslave {vf.name} to {master.name}")


def _move(s: Situation, master: Link, nic: Link, journal: Journal) -> Next:
    """The journal is written: exchange the names and put the configuration on the master."""
    carried = not why_unfit(s.vf, master)
    wanted = moving.to_device(moving.union(journal.inet, journal.extra), master.ifindex)
    there = s.seen(master)
    shape: list[Request] = []
    if master.name != journal.name:
        shape += _exchange_names(s, master, nic, journal)
    if not carried and not s.is_in(nic):
        shape += s.datapath.attach(replace(nic, up=nic.up and not shape), master)
    up: list[Request] = [SetUp(master.ifindex, up=True)] if journal.up and not master.up else []
    if refusal := s.refusal((*shape, *up)):
        return GiveUp(f"{journal.name} could not be moved to a master, and was given back: {refusal}")
    if shape or up:
        addresses = (*moving.add_links_local(wanted, there), *up, *moving.add_others(wanted, there))
        return Do((*shape, *addresses, *moving.drop_all(journal.inet)), f"move {journal.name} to its master")
    return _check(s, master, nic, journal)


def _exchange_names(s: Situation, master: Link, nic: Link, journal: Journal) -> list[Request]:
    requests: list[Request] = []
    if nic.name == journal.name:
        requests += [SetUp(nic.ifindex, up=False)] if nic.up else []
        requests.append(Rename(nic.ifindex, s.free_standby_name(journal.name)))
    requests += [SetUp(master.ifindex, up=False)] if master.up else []
    return [*requests, Rename(master.ifindex, journal.name)]


def _check(s: Situation, master: Link, nic: Link, journal: Journal) -> Next:
    """The names are exchanged; see to it that nothing was lost on the way."""
    if not s.is_in(nic) and (requests := s.may(s.datapath.attach(nic, master))):
        return Do(requests, f"enslave {nic.name} to {master.name} as its standby")
    altnames: list[Request] = []
    for name in journal.altnames:
        altnames += [DropAltname(nic.ifindex, name)] if name in nic.altnames else []
        altnames += [AddAltname(master.ifindex, name)] if name not in master.altnames else []
    if altnames and (requests := s.may(altnames)):
        return Do(requests, f"move the alternative names to {master.name}")
    if s.inet is None:
        return Look(tuple(link.ifindex for link in (master, nic, s.vf) if link is not None))
    return _restore(s, master, journal) or Finish()


def _restore(s: Situation, target: Link, journal: Journal) -> Next | None:
    """Add what is missing on the device that has the name now, and take it off its slaves."""
    wanted = moving.to_device(moving.union(journal.inet, journal.extra), target.ifindex)
    there = s.seen(target)
    missing = [*moving.add_links_local(wanted, there), *moving.add_others(wanted, there)] if target.up else []
    slaves = [link for link in (s.nic, s.vf) if link is not None and s.is_in(link)]
    left = [request for link in slaves for request in moving.drop_all(s.seen(link))]
    todo = [request for request in (*missing, *left) if request not in s.hopeless]
    if not todo:
        return None
    now = tuple(request for request in todo if request not in s.blocked)
    return Do(now, f"put the rest on {target.name}") if now else Wait("the kernel refused an address or a route")


def _settled(s: Situation, nic: Link) -> Next:
    """The configuration is on the master: see to it that both slaves are in it."""
    if s.master is not None and not s.is_in(nic):
        if nic.ifindex not in s.ready:
            return Wait(f"udev is not done with {nic.name} yet")
        if requests := s.may(s.datapath.attach(nic, s.master)):
            return Do(requests, f"enslave {nic.name} to {s.master.name} as its standby")
    return _take_vf(s) or Rest()
