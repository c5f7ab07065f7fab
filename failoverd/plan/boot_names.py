"""The step that gives a paravirtual NIC the name that it was meant to have, before the NIC is joined."""

from __future__ import annotations

from failoverd.model.pairs import Inet
from failoverd.model.requests import DropAltname, Rename, Request, SetUp
from failoverd.plan import inet_sets, names
from failoverd.plan.situation import Do, Look, Situation, Wait
from failoverd.policy.naming import swap_name


def take_name(s: Situation) -> Do | Look | Wait | None:
    """Give the NIC its name. Where the VF has it, the VF gets the NIC's, all in one datagram.

    Kernels before 6.2 do not rename a device that is up, so both go down for it. A device in use keeps its name.
    """
    nic, vf = s.nic, s.vf
    if nic is None or not s.meant or nic.master or s.is_in(vf) or nic.ifindex not in s.ready:
        return None
    holder = vf if vf is not None and s.meant in (vf.name, *vf.altnames) else None
    if holder is not None and holder.ifindex not in s.ready:
        return Wait(f"udev is not done with {holder.name} yet")
    both = [link for link in (nic, holder) if link is not None]
    if look := s.look_at(*(link for link in both if link.up)):
        return look
    if any(inet_sets.adds_to(Inet(), s.seen(link)) for link in both):
        return None
    requests: list[Request] = [SetUp(link.ifindex, up=False) for link in both if link.up]
    last: list[Request] = []
    if holder is not None and holder.name == s.meant:
        requests.append(Rename(holder.ifindex, swap_name(s.mac)))
        last.append(Rename(holder.ifindex, nic.name))
    elif holder is not None:
        requests.append(DropAltname(holder.ifindex, s.meant))
    requests += [*names.rename(nic, s.meant), *last]
    requests += [SetUp(link.ifindex, up=True) for link in both if link.up]
    allowed = s.may(requests)
    return Do(allowed, f"{nic.name} is to be called {s.meant}") if allowed else None
