"""Who belongs together, and for everybody else the reason why not.

The rule is the kernel's own (net/core/failover.c), made stricter: NICs with the same *permanent* MAC, exactly one of
them paravirtual, at most one other on PCI. The current MAC will not do, as VLANs, bridges and masters borrow it.
Whatever is not plainly a pair is refused and keeps its reason: to join the wrong two devices can cut a machine off.

"Paravirtual" is told by the bus (virtio, Xen, VMbus). Only where no NIC with that MAC sits on such a bus, a PCI NIC
with a driver known to be paravirtual takes the place; so a vmxnet3 beside a virtio NIC counts as the fast one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from failoverd.config.spec import Pairing
from failoverd.model.links import ETHER, Link
from failoverd.model.pairs import Judgement, Pair, Verdict
from failoverd.policy.adoption import adopted, is_kernels
from failoverd.policy.holding import standing_on, why_held
from failoverd.policy.naming import is_touched, our_mac

NO_MAC = ("", "00:00:00:00:00:00")


@dataclass(frozen=True, slots=True)
class Judgements:
    """The pairs by permanent MAC, and what was made of every device, by ifindex.

    `spare` is the one paravirtual NIC of a MAC that was refused because it has too many VFs. No pair is made of it,
    but one that was on its way there when the VFs came gets its configuration back on it.
    """

    pairs: Mapping[str, Pair] = field(default_factory=dict)
    spare: Mapping[str, int] = field(default_factory=dict)
    verdicts: Mapping[int, Judgement] = field(default_factory=dict)


def judge(links: Mapping[int, Link], config: Pairing, in_place: bool = False) -> Judgements:
    """Tell who belongs together among these devices. A NIC that has no partner makes a pair of one.

    `in_place`: a pair is joined without a master of its own, so what stands on the paravirtual NIC does no harm.
    """
    masters = {our_mac(link): link for link in links.values() if our_mac(link)}
    verdicts: dict[int, Judgement] = {}
    groups: dict[str, list[Link]] = defaultdict(list)
    uppers = standing_on(links)
    for link in links.values():
        if reason := _not_for_us(link, links, config):
            verdicts[link.ifindex] = reason
        else:
            groups[link.perm_mac].append(link)
    pairs = _adopted(links, config, verdicts)
    spare: dict[str, int] = {}
    for mac, group in groups.items():
        if mac in pairs:
            joined = links[pairs[mac].master].name
            _refuse_all(group, f"the kernel has joined {mac} itself, as {joined}, and has not taken this NIC", verdicts)
            continue
        master = masters.get(mac)
        is_in_place = master is None and (in_place or any(map(is_touched, group)))
        stays = _slow(group, config) if is_in_place else []
        held = {link.ifindex: why_held(link, master, links, {} if link in stays else uppers) for link in group}
        held |= {link.ifindex: "" for link in stays if _keeps(link)}
        verdicts |= {ifindex: Judgement(Verdict.REFUSED, why) for ifindex, why in held.items() if why}
        free = [link for link in group if not held[link.ifindex]]
        pair = _pair(mac, group, free, master, config, verdicts)
        if pair is not None:
            pairs[mac] = pair
        elif len(slow := [link for link in free if link in _slow(group, config)]) == 1:
            spare[mac] = slow[0].ifindex
    for mac, master in masters.items():
        pairs.setdefault(mac, Pair(mac, master=master.ifindex))
        verdicts[master.ifindex] = Judgement(Verdict.PAIRED, f"the master failoverd made for {mac}")
    return Judgements(pairs, spare, verdicts)


def _adopted(links: Mapping[int, Link], config: Pairing, verdicts: dict[int, Judgement]) -> dict[str, Pair]:
    """The pairs the kernel has joined itself, but for those that are not to be touched."""
    pairs: dict[str, Pair] = {}
    for pair, members in adopted(links):
        if any(_ignored(link, config) for link in members):
            continue
        pairs[pair.mac] = pair
        joined = Judgement(Verdict.PAIRED, f"the kernel has joined it itself, as {members[0].name}")
        verdicts |= {link.ifindex: joined for link in members}
    return pairs


def _not_for_us(link: Link, links: Mapping[int, Link], config: Pairing) -> Judgement | None:
    """Why this device can be in no pair, whatever the others are."""
    above = links.get(link.master)
    if is_kernels(link):
        return Judgement(Verdict.LEFT_ALONE, "the kernel's own failover master (net_failover) joins its NICs itself")
    if link.kind:
        return Judgement(Verdict.IGNORED, f"it is a {link.kind} device; only hardware NICs are paired")
    if link.hardware != ETHER:
        return Judgement(Verdict.IGNORED, "it is not an Ethernet device")
    if above is not None and is_kernels(above):
        return Judgement(Verdict.LEFT_ALONE, f"the kernel's own failover has joined it to {above.name}")
    if link.standby_feature:
        return Judgement(Verdict.LEFT_ALONE, "its hypervisor offers the kernel's own failover (VIRTIO_NET_F_STANDBY)")
    if _ignored(link, config):
        return Judgement(Verdict.IGNORED, "the configuration says so ([pairing] ignore or ignore_drivers)")
    if link.perm_mac in NO_MAC:
        return Judgement(Verdict.IGNORED, "it has no permanent MAC to be matched by")
    if not _is_paravirtual_bus(link, config) and link.bus != "pci":
        return Judgement(Verdict.IGNORED, f"its bus is {link.bus or 'unknown'}, neither paravirtual nor PCI")
    return None


def _ignored(link: Link, config: Pairing) -> bool:
    names = (link.name, *link.altnames, link.perm_mac, link.mac)
    if link.driver in config.ignore_drivers:
        return True
    return any(fnmatchcase(name.lower(), pattern.lower()) for pattern in config.ignore for name in names)


def _is_paravirtual_bus(link: Link, config: Pairing) -> bool:
    return link.bus in config.paravirtual_buses


def _pair(
    mac: str,
    group: list[Link],
    free: list[Link],
    master: Link | None,
    config: Pairing,
    verdicts: dict[int, Judgement],
) -> Pair | None:
    """Judge the NICs of one permanent MAC. Who is joined already stays so, whoever else turns up."""
    slow = _slow(group, config)
    fast = [link for link in group if link not in slow]
    joined = [link for link in group if _is_joined(link, master, group)]
    nic = _only(slow, joined)
    vf = _only(fast, joined)
    if slow and nic is None:
        _refuse_all(free, f"{_count(slow)} paravirtual NICs have the permanent MAC {mac}, not one", verdicts)
        return None
    if fast and vf is None:
        if nic is not None and nic in joined:
            _refuse_all([link for link in free if link in fast], _too_many(fast, mac), verdicts)
            return _accept(mac, nic, None, master, verdicts)
        _refuse_all(free, _too_many(fast, mac), verdicts)
        return None
    _refuse_all([link for link in free if link not in (nic, vf)], f"{mac} has its pair already", verdicts)
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
    """Whether this NIC is joined already: by a master of ours, or by a filter of ours on it or leading to it."""
    if master is not None:
        return link.master == master.ifindex
    ours = [(one.ifindex, found.redirect) for one in group for found in one.tc.filters if found.ours]
    return any(link.ifindex in ends for ends in ours)


def _keeps(link: Link) -> bool:
    """Whether a NIC that stays what it is does so in its master, too: a VRF does no harm, and from another one a NIC
    that is joined already is to be let go in good order."""
    return link.slave_kind == "vrf" or is_touched(link)


def _slow(group: list[Link], config: Pairing) -> list[Link]:
    """The paravirtual ones among the NICs of one MAC."""
    by_bus = [link for link in group if _is_paravirtual_bus(link, config)]
    return by_bus or [link for link in group if link.driver in config.paravirtual_drivers]


def _accept(
    mac: str, nic: Link | None, vf: Link | None, master: Link | None, verdicts: dict[int, Judgement]
) -> Pair | None:
    members = [link for link in (nic, vf) if link is not None]
    if len(members) == 2:
        for link, other in zip(members, reversed(members), strict=True):
            verdicts[link.ifindex] = Judgement(Verdict.PAIRED, f"same permanent MAC {mac} as {other.name}")
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
    """The one candidate there is, or the one that is joined already."""
    if len(candidates) == 1:
        return candidates[0]
    held = [link for link in candidates if link in joined]
    return held[0] if len(held) == 1 else None


def _refuse_all(group: Iterable[Link], reason: str, verdicts: dict[int, Judgement]) -> None:
    for link in group:
        verdicts[link.ifindex] = Judgement(Verdict.REFUSED, reason)


def _too_many(fast: list[Link], mac: str) -> str:
    return f"{_count(fast)} PCI NICs have the permanent MAC {mac}, and a pair has at most one"


def _count(group: list[Link]) -> str:
    return f"{len(group)} ({', '.join(sorted(link.name for link in group))})"
