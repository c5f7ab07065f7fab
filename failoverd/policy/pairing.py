"""Pairing: which NICs belong together, and for every other device the reason why not.

The rule is the kernel's own (net/core/failover.c), made stricter: NICs with the same *permanent* MAC, exactly one of
them paravirtual, at most one other on PCI. The current MAC will not do, as VLANs, bridges and masters borrow it. A NIC
that is not plainly in a pair is refused, with a reason: to join the wrong two devices can cut a machine off.

"Paravirtual" is decided by the bus (virtio, Xen, VMbus). Only where no NIC with that MAC is on such a bus, a PCI NIC
with a driver known to be paravirtual takes the place; so a vmxnet3 beside a virtio NIC counts as the fast one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from fnmatch import fnmatchcase
from types import MappingProxyType

from failoverd.config.spec import Pairing
from failoverd.dataclass import dataclass
from failoverd.model.links import ETHER, Link
from failoverd.model.linktable import LinkTable
from failoverd.model.pairs import Judgement, Pair, Verdict
from failoverd.policy.adoption import NETVSC, adopted, is_kernels, is_netvsc, left_to_driver
from failoverd.policy.naming import is_in_use, is_touched, marked_mac, unmarked_mac
from failoverd.policy.stacking import changed_mac_reason, standing_on, unavailable_reason

NO_MAC = ("", "00:00:00:00:00:00")


@dataclass(frozen=True, slots=True)
class Judgements:
    """The pairs by permanent MAC, and the verdict on every device, by ifindex.

    `refused_nics` has, by MAC, the one paravirtual NIC that was refused for its VFs or for what is stacked on it. No
    pair is made of it, but a move that had begun gives the configuration back to it. `misplaced` are NICs that are
    still in the master of the pair whose permanent MAC they had before.
    """

    pairs: Mapping[str, Pair] = field(default_factory=dict)
    refused_nics: Mapping[str, int] = field(default_factory=dict)
    verdicts: Mapping[int, Judgement] = field(default_factory=dict)
    misplaced: tuple[int, ...] = ()


def judge(
    links: Mapping[int, Link],
    config: Pairing,
    in_place: Callable[[Link], bool] = lambda _nic: False,
    kept: Mapping[int, str] = MappingProxyType({}),
) -> Judgements:
    """Pair these devices. A NIC that has no partner makes a pair of one.

    `in_place`: whether the pair of this paravirtual NIC is joined without a master of its own; then devices stacked on
    the NIC do no harm. `kept` are the pairs of those paravirtual NICs that have one already, by ifindex.
    """
    masters = _masters(links)
    verdicts: dict[int, Judgement] = {}
    groups: dict[str, list[Link]] = defaultdict(list)
    uppers = standing_on(links)
    above = {link.master for link in links.values() if link.master}
    for link in links.values():
        if reason := _excluded(link, links, link.ifindex in above, config, link.ifindex in kept):
            verdicts[link.ifindex] = reason
        else:
            groups[kept.get(link.ifindex, link.perm_mac)].append(link)
    for mac, ours in masters.items():
        _keep_standby(mac, ours, groups, config)
    pairs = _adopted(links, config, verdicts)
    refused: dict[str, int] = {}
    for mac, group in groups.items():
        if mac in pairs:
            _refuse_all(group, _beside_adopted_reason(links, pairs[mac]), verdicts)
            continue
        master = masters.get(mac)
        paravirtual = _paravirtual(group, config)
        is_in_place = master is None and (any(map(is_touched, group)) or any(map(in_place, paravirtual)))
        stays = paravirtual if is_in_place else []
        # A master with the configuration gets its NIC again, or gives it all back to the NIC, whatever is stacked on
        # that.
        bearers = paravirtual if is_in_use(master, mac) else stays
        held = {
            link.ifindex: unavailable_reason(link, master, links, {} if link in bearers else uppers) for link in group
        }
        held |= {link.ifindex: "" for link in stays if _stays_in_master(link)}
        verdicts |= {ifindex: Judgement(Verdict.REFUSED, why) for ifindex, why in held.items() if why}
        unheld = [link for link in group if not held[link.ifindex]]
        changed = unheld if master is None and not is_in_place else []
        verdicts |= {
            link.ifindex: Judgement(Verdict.REFUSED, why) for link in changed if (why := changed_mac_reason(link))
        }
        free = [link for link in unheld if link not in changed or not changed_mac_reason(link)]
        pair = _pair(mac, group, free, master, config, verdicts)
        if pair is not None:
            pairs[mac] = pair
        elif len(alone := [link for link in paravirtual if link in unheld or not link.master]) == 1:
            refused[mac] = alone[0].ifindex
    for mac, master in masters.items():
        pairs.setdefault(mac, Pair(mac, master=master.ifindex))
        verdicts[master.ifindex] = Judgement(Verdict.PAIRED, f"the master failoverd made for {mac}")
    macs = {one.ifindex: mac for mac, one in masters.items()}
    slaves = [(mac, link) for mac in pairs for link in groups.get(mac, ()) if link.master in macs]
    misplaced = tuple(link.ifindex for mac, link in slaves if macs[link.master] != mac)
    return Judgements(pairs, refused, verdicts, misplaced)


def excluded(link: Link, links: LinkTable, config: Pairing) -> Judgement | None:
    """Return why a device that was not judged with any MAC can be in no pair; None where it may be in one."""
    return _excluded(link, links, any(links.slaves(link.ifindex)), config, is_kept=False)


def _keep_standby(mac: str, master: Link, groups: dict[str, list[Link]], config: Pairing) -> None:
    """Keep a paravirtual NIC whose permanent MAC has changed inside failoverd's master as the standby of that master.

    The NIC carries the configuration by which the machine is reached. It is kept if it is the only one in the master,
    and no other one has the pair's MAC.
    """
    if any(_is_paravirtual_bus(link, config) for link in groups.get(mac, ())):
        return
    every = [link for group in groups.values() for link in group]
    held = [link for link in every if link.master == master.ifindex and _is_paravirtual_bus(link, config)]
    if len(held) == 1:
        groups[held[0].perm_mac].remove(held[0])
        groups[mac].append(held[0])


def _masters(links: Mapping[int, Link]) -> dict[str, Link]:
    """Return the bonds that failoverd made, by the MAC they were made for. A marked bond comes first."""
    made = {mac: link for link in links.values() if (mac := unmarked_mac(link))}
    return made | {mac: link for link in links.values() if (mac := marked_mac(link))}


def _adopted(links: Mapping[int, Link], config: Pairing, verdicts: dict[int, Judgement]) -> dict[str, Pair]:
    """Return the pairs that the kernel has joined, without those that the configuration ignores."""
    pairs: dict[str, Pair] = {}
    for pair, members in adopted(links):
        if any(_ignored(link, config) for link in members):
            continue
        pairs[pair.mac] = pair
        by = f"its driver ({NETVSC})" if is_netvsc(members[0]) else "the kernel"
        joined = Judgement(Verdict.PAIRED, f"{by} has joined it itself, as {members[0].name}")
        verdicts |= {link.ifindex: joined for link in members if link.ifindex in (pair.nic, pair.vf, pair.master)}
        if not pair.vf and is_netvsc(members[0]):
            verdicts[pair.nic] = Judgement(Verdict.LEFT_ALONE, left_to_driver(members[0], links, is_master=False))
    return pairs


def _beside_adopted_reason(links: Mapping[int, Link], pair: Pair) -> str:
    """Return why a NIC with the MAC of an adopted pair is in no pair."""
    nic = links[pair.nic]
    if is_netvsc(nic):
        return f"{nic.name} has this MAC, whose driver ({NETVSC}) takes in its VF by itself, and has not taken this NIC"
    return f"the kernel has joined {pair.mac} itself, as {links[pair.master].name}, and has not taken this NIC"


def _excluded(
    link: Link, links: Mapping[int, Link], is_master: bool, config: Pairing, is_kept: bool
) -> Judgement | None:
    """Return why this device can be in no pair, whatever the others are. `is_master`: another device has it as its
    master.
    """
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
    if why := left_to_driver(link, links, is_master):
        return Judgement(Verdict.LEFT_ALONE, why)
    if link.perm_mac in NO_MAC and not is_kept:
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
    """Judge the NICs of one permanent MAC. A NIC that is joined already stays so, whatever other NIC appears."""
    paravirtual = _paravirtual(group, config)
    fast = [link for link in group if link not in paravirtual]
    joined = [link for link in group if _is_joined(link, master, group)]
    nic = _only(paravirtual, joined)
    vf = _only(fast, joined)
    if paravirtual and nic is None:
        _refuse_all(free, f"{_count(paravirtual)} paravirtual NICs have the permanent MAC {mac}, not one", verdicts)
        return None
    if fast and vf is None:
        if nic is not None and (nic in joined or is_in_use(master, mac)):
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
    """Whether this NIC is joined already: by failoverd's master, or by failoverd's filter on it or leading to it."""
    if master is not None:
        return link.master == master.ifindex
    ours = [(one.ifindex, found.redirect) for one in group for found in one.tc.filters if found.ours]
    return any(link.ifindex in ends for ends in ours)


def _stays_in_master(link: Link) -> bool:
    """Whether a NIC may stay in its present master.

    A VRF does no harm, and a NIC that is joined already is released from another master in good order.
    """
    return link.slave_kind == "vrf" or is_touched(link)


def _paravirtual(group: list[Link], config: Pairing) -> list[Link]:
    """Return the paravirtual ones among the NICs of one MAC."""
    by_bus = [link for link in group if _is_paravirtual_bus(link, config)]
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


def _refuse_all(group: Iterable[Link], reason: str, verdicts: dict[int, Judgement]) -> None:
    for link in group:
        verdicts[link.ifindex] = Judgement(Verdict.REFUSED, reason)


def _too_many(fast: list[Link], mac: str) -> str:
    return f"{_count(fast)} PCI NICs have the permanent MAC {mac}, and a pair has at most one"


def _count(group: list[Link]) -> str:
    return f"{len(group)} ({', '.join(sorted(link.name for link in group))})"
