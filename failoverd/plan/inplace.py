"""Joining and releasing where the paravirtual NIC is the master itself: nothing moves, so there is no journal.

The VF's own configuration goes to the master, as everywhere. The plan checks that each part is done before it asks for
the next, so the configuration is always somewhere, whatever is refused and whenever failoverd is cut off.

The parts, in their order: the VF's own configuration goes to the master, then off the VF; then come the datapath's own
requests, of which the last joins the VF. A NIC that is to take over the addresses of a VF in use gets its qdisc before
them, as a qdisc that is added later loses the frames sent meanwhile (4 to 10 frames at 1,000 a second, seen on 6.18).
"""

from __future__ import annotations

from failoverd.model.links import Link
from failoverd.model.pairs import Inet
from failoverd.model.requests import DropRoute, SetUp
from failoverd.plan import inet_sets, names, transfer
from failoverd.plan.situation import Do, Next, Rest, Situation, Wait
from failoverd.policy.naming import is_marked
from failoverd.policy.stacking import wants_everything


def join_in_place(s: Situation) -> Next:
    """Name the next step toward a VF that is joined to its master, and keep it so."""
    if s.master is None:
        return Rest()
    if s.nic is not None and s.nic.ifindex not in s.ready:
        return Wait(f"udev is not done with {s.nic.name} yet")
    if s.vf is not None:
        if s.datapath.conflict(s.vf, s.master):
            # The election has moved the traffic away from the VF already, or does so with its next answer.
            is_idle = s.datapath.active(s.master, s.vf, s.nic) != s.vf.ifindex
            requests = s.may(s.datapath.detach(s.vf)) if is_idle else ()
            return Do(requests, f"let go of {s.vf.name}") if requests else Rest()
        if s.datapath.has_to_join(s.vf, s.master):
            return _attach(s, s.vf, s.master)
    mended = list(s.datapath.mend(s.master, s.vf, s.nic, s.config))
    mended += s.datapath.widen(s.vf, _is_open(s, s.vf, s.master)) if s.vf is not None else []
    return s.rest(mended, f"mend {s.master.name}") or Rest()


def release_in_place(s: Situation) -> Next:
    """Name the next step toward two NICs on their own. The traffic goes back to the master before anything else."""
    requests = list(s.datapath.remove(s.master)) if s.master is not None else []
    requests += s.datapath.detach(s.vf) if s.vf is not None else []
    if step := s.rest(requests, f"take {s.mac} apart"):
        return step
    return names.give_back(s) or Rest()


def _is_open(s: Situation, vf: Link, master: Link) -> bool:
    """Whether the VF takes in every frame. Until failoverd has checked since its start what needs that, it stays as it
    is.
    """
    is_crowded = vf.promiscuous if s.crowded is None else s.crowded
    return is_crowded or wants_everything(master, s.links)


def _attach(s: Situation, vf: Link, master: Link) -> Next:
    """Join the VF: its own configuration is on the master before it is removed, and gone before the VF is joined."""
    if vf.ifindex not in s.ready:
        return Wait(f"udev is not done with {vf.name} yet")
    requests = s.datapath.attach(vf, master)
    if s.refusal(requests):
        return Rest()
    if look := s.look_closely([master], vf):
        return look
    return _move(s, vf, master) or _silence(s, vf, master) or Do(tuple(requests), f"join {vf.name} to {master.name}")


def _move(s: Situation, vf: Link, master: Link) -> Next | None:
    """Give the master the VF's own configuration, if it can be given."""
    seen = s.seen(vf)
    if is_marked(vf, "vf") and not vf.link_local:
        # The VF was emptied before it was silenced. If it was up already, router advertisements may have given it
        # addresses and routes since; they are no configuration to move, and a master brought up for them would look
        # configured to its network manager.
        seen = inet_sets.without_advertised(seen)
    if reason := inet_sets.unmovable_reason(seen):
        return Wait(f"{vf.name}: {reason}; take that route away or write it without the object")
    if inet_sets.has_own_routes6(seen):
        return Wait(f"{vf.name} has IPv6 routes of its own, which {master.name} cannot have beside it; take them away")
    in_use = inet_sets.adds_to(Inet(), seen)
    if in_use and (ready := s.may(s.datapath.create(s.mac, master, s.config))):
        return Do(ready, f"make {master.name} ready for what {vf.name} has of its own")
    if in_use and not master.up:
        up = SetUp(master.ifindex, up=True)
        return s.rest([up], f"bring {master.name} up, for {vf.name} was in use") or Wait(f"{master.name} stays down")
    if in_use and not master.carrier:
        return Wait(f"{vf.name} is in use, and {master.name} would hear nothing without a carrier")
    wanted, there = transfer.to_device(seen, master.ifindex), s.seen(master)
    moved = [*transfer.add_again(wanted, there), *transfer.add_others(wanted, there, master.up)]
    if refusal := s.refusal(moved):
        return Wait(f"{vf.name} keeps what {master.name} cannot have: {refusal}")
    return Do(tuple(moved), f"give {master.name} what {vf.name} has of its own") if moved else None


def _silence(s: Situation, vf: Link, master: Link) -> Next | None:
    """Remove the VF's addresses and routes, and everything that router advertisements have given it."""
    seen = s.seen(vf)
    drops = [*transfer.drop_all(seen), *transfer.drop_links_local(seen)]
    # IPv4 routes go with the last address of their device (net/ipv4/fib_frontend.c), and stay where there was none.
    rest = Inet(routes=inet_sets.given(seen).routes)
    if not drops and inet_sets.missing(transfer.to_device(rest, master.ifindex), s.seen(master)) == Inet():
        drops += [DropRoute(route) for route in rest.routes]
    if step := s.rest(drops, f"take the addresses off {vf.name}"):
        return step
    down = s.may([SetUp(vf.ifindex, up=False)]) if vf.up and inet_sets.is_advertised_to(seen) else ()
    return Do(down, f"flush the routes a router has given {vf.name}") if down else None
