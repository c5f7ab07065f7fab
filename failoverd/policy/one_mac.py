"""Judging the NICs of one permanent MAC: which of them are a pair, and why the others are not.

"Paravirtual" is decided by the bus (virtio, Xen, VMbus). Only where no NIC with that MAC is on such a bus, a PCI NIC
with a driver known to be paravirtual takes the place; so a vmxnet3 beside a virtio NIC counts as the fast one.
"""

from __future__ import annotations

from collections.abc import Iterable

from failoverd.config.spec import Pairing
from failoverd.model.links import Link
from failoverd.model.pairs import Judgement, Pair, Verdict
from failoverd.policy.exclusion import is_on_paravirtual_bus
from failoverd.policy.naming import is_in_use


def pair_up(
    mac: str,
    group: list[Link],
    free: list[Link],
    master: Link | None,
    config: Pairing,
    verdicts: dict[int, Judgement],
) -> Pair | None:
    """Judge the NICs of one permanent MAC. A NIC that is joined already stays so, whatever other NIC appears."""
    paravirtual = paravirtual_of(group, config)
    fast = [link for link in group if link not in paravirtual]
    joined = [link for link in group if _is_joined(link, master, group)]
    nic = _only(paravirtual, joined)
    vf = _only(fast, joined)
    if paravirtual and nic is None:
        refuse_all(free, f"{_count(paravirtual)} paravirtual NICs have the permanent MAC {mac}, not one", verdicts)
        return None
    if fast and vf is None:
        if nic is not None and (nic in joined or is_in_use(master, mac)):
            refuse_all([link for link in free if link in fast], _too_many(fast, mac), verdicts)
            return _accept(mac, nic, None, master, verdicts)
        refuse_all(free, _too_many(fast, mac), verdicts)
        return None
    refuse_all([link for link in free if link not in (nic, vf)], f"{mac} has its pair already", verdicts)
    for link, other in ((nic, vf), (vf, nic)):
        if link in free and link is not None and other is not None and other not in free:
            reason = f"{other.name} has the same permanent MAC, but was refused"
            verdicts[link.ifindex] = Judgement(Verdict.ALONE, reason)
    return _accept(
        mac,
        nic if nic in free else None,
        vf if vf in free else None,
        master,
        verdicts,
    )


def _is_joined(link: Link, master: Link | None, group: list[Link]) -> bool:
    """Whether this NIC is joined already: by failoverd's master, or by failoverd's filter on it or leading to it."""
    if master is not None:
        return link.master == master.ifindex
    ours = [(one.ifindex, found.redirect) for one in group for found in one.tc.filters if found.ours]
    return any(link.ifindex in ends for ends in ours)


def paravirtual_of(group: list[Link], config: Pairing) -> list[Link]:
    """Return the paravirtual ones among the NICs of one MAC."""
    by_bus = [link for link in group if is_on_paravirtual_bus(link, config)]
    return by_bus or [link for link in group if link.driver in config.paravirtual_drivers]


def _accept(
    mac: str, nic: Link | None, vf: Link | None, master: Link | None, verdicts: dict[int, Judgement]
) -> Pair | None:
    members = [link for link in (nic, vf) if link is not None]
    if len(members) == 2:
        for link, other in zip(members, reversed(members), strict=True):
            also = f"same permanent MAC {mac} as {other.name}"
            stays = f"joined with {other.name}, and stays so, although its permanent MAC is {link.perm_mac} now"
            verdicts[link.ifindex] = Judgement(Verdict.PAIRED, also if link.perm_mac == mac else stays)
    for link in members:
        what = "no VF" if link is nic else "no paravirtual NIC"
        verdicts.setdefault(link.ifindex, Judgement(Verdict.ALONE, f"{what} with the permanent MAC {mac} is here"))
    if nic is None and master is None:
        return None
    return Pair(
        mac,
        nic=nic.ifindex if nic else 0,
        vf=vf.ifindex if vf else 0,
        master=master.ifindex if master else 0,
    )


def _only(candidates: list[Link], joined: list[Link]) -> Link | None:
    """Return the only candidate, or the one that is joined already."""
    if len(candidates) == 1:
        return candidates[0]
    held = [link for link in candidates if link in joined]
    return held[0] if len(held) == 1 else None


def refuse_all(group: Iterable[Link], reason: str, verdicts: dict[int, Judgement]) -> None:
    """Refuse all of these NICs for one reason."""
    for link in group:
        verdicts[link.ifindex] = Judgement(Verdict.REFUSED, reason)


def _too_many(fast: list[Link], mac: str) -> str:
    return f"{_count(fast)} PCI NICs have the permanent MAC {mac}, and a pair has at most one"


def _count(group: list[Link]) -> str:
    return f"{len(group)} ({', '.join(sorted(link.name for link in group))})"
