"""Joining and releasing where the paravirtual NIC is the master itself: nothing moves, so there is no journal.

What the VF has of its own goes to the master, as everywhere. Each part is seen to be done before the next is asked for,
so it is always somewhere, whatever is refused and whenever we are cut off.
"""

from __future__ import annotations

from failoverd.model.links import Link
from failoverd.model.pairs import Inet
from failoverd.model.requests import SetUp
from failoverd.plan import moving, names
from failoverd.plan.situation import Do, Next, Rest, Situation, Wait
from failoverd.policy.holding import wants_everything
from failoverd.policy.naming import is_marked


def join_in_place(s: Situation) -> Next:
    """Name the next step toward a VF that is joined to its master, and stays as it has to be."""
    if s.master is None:
        return Rest()
    if s.nic is not None and s.nic.ifindex not in s.ready:
        return Wait(f"udev is not done with {s.nic.name} yet")
    if s.vf is not None and not s.datapath.adopted:
        if s.datapath.conflict(s.vf, s.master):
            # The election has taken the traffic from it before, or does so with its next answer.
            is_idle = s.datapath.active(s.master, s.vf, s.nic) != s.vf.ifindex
            requests = s.may(s.datapath.detach(s.vf)) if is_idle else ()
            return Do(requests, f"let go of {s.vf.name}") if requests else Rest()
        if not s.is_in(s.vf):
            return _attach(s, s.vf, s.master)
    mended = list(s.datapath.mend(s.master, s.vf, s.nic, s.config))
    mended += s.datapath.widen(s.vf, wants_everything(s.master, s.links)) if s.vf is not None else []
    return s.rest(mended, f"mend {s.master.name}") or Rest()


def release_in_place(s: Situation) -> Next:
    """Name the next step toward two NICs on their own. The traffic goes back to the master before anything else."""
    requests = list(s.datapath.remove(s.master)) if s.master is not None else []
    requests += s.datapath.detach(s.vf) if s.vf is not None else []
    if step := s.rest(requests, f"take {s.mac} apart"):
        return step
    return names.give_back(s) or Rest()


def _attach(s: Situation, vf: Link, master: Link) -> Next:
    """What the VF has of its own is on the master before it is taken away, and gone before the VF is joined."""
    if vf.ifindex not in s.ready:
        return Wait(f"udev is not done with {vf.name} yet")
    requests = s.datapath.attach(vf, master)
    if s.refusal(requests):
        return Rest()
    if look := s.look_at(vf, master):
        return look
    return _move(s, vf, master) or _silence(s, vf) or Do(tuple(requests), f"join {vf.name} to {master.name}")


def _move(s: Situation, vf: Link, master: Link) -> Next | None:
    """Give the master what the VF has of its own, if it can be given."""
    seen = s.seen(vf)
    if is_marked(vf, "vf") and not vf.link_local:
        # It was emptied before it was silenced. What a router's word has made of it since, if it was up already, is
        # nobody's; and a master that was brought up for it would look configured to its manager.
        seen = moving.without_advertised(seen)
    if reason := moving.why_not_movable(seen):
        return Wait(f"{vf.name}: {reason}; take that route away or write it without the object")
    if moving.has_own_routes6(seen):
        return Wait(f"{vf.name} has IPv6 routes of its own, which {master.name} cannot have beside it; take them away")
    in_use = moving.adds_to(Inet(), seen)
    if in_use and (ready := s.may(s.datapath.create(s.mac, master, s.config))):
        return Do(ready, f"make {master.name} ready for what {vf.name} has of its own")
    if in_use and not master.up:
        up = SetUp(master.ifindex, up=True)
        return s.rest([up], f"bring {master.name} up, for {vf.name} was in use") or Wait(f"{master.name} stays down")
    if in_use and not master.carrier:
        return Wait(f"{vf.name} is in use, and {master.name} would hear nothing without a carrier")
    moved = moving.add_others(moving.to_device(seen, master.ifindex), s.seen(master), master.up)
    if refusal := s.refusal(moved):
        return Wait(f"{vf.name} keeps what {master.name} cannot have: {refusal}")
    return Do(tuple(moved), f"give {master.name} what {vf.name} has of its own") if moved else None


def _silence(s: Situation, vf: Link) -> Next | None:
    """Take the VF's addresses away, and what routers have given it."""
    seen = s.seen(vf)
    if step := s.rest([*moving.drop_all(seen), *moving.drop_links_local(seen)], f"take the addresses off {vf.name}"):
        return step
    down = s.may([SetUp(vf.ifindex, up=False)]) if vf.up and moving.is_advertised_to(seen) else ()
    return Do(down, f"flush the routes a router has given {vf.name}") if down else None
