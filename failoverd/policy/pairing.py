"""Pairing: which NICs belong together, and for every other device the reason why not.

The rule is the kernel's own (net/core/failover.c), made stricter: NICs with the same *permanent* MAC, exactly one of
them paravirtual, at most one other on PCI. The current MAC will not do, as VLANs, bridges and masters borrow it. A NIC
that is not plainly in a pair is refused, with a reason: to join the wrong two devices can cut a machine off.

What a device alone decides is in exclusion.py, what the NICs of one MAC decide in one_mac.py.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import field
from types import MappingProxyType

from failoverd.config.spec import Pairing
from failoverd.dataclass import dataclass
from failoverd.model.links import Link
from failoverd.model.pairs import Judgement, Pair, Verdict
from failoverd.policy.adoption import NETVSC, adopted, is_netvsc, left_to_driver
from failoverd.policy.exclusion import exclusion, is_ignored, is_on_paravirtual_bus
from failoverd.policy.naming import is_in_use, is_touched, marked_mac, unmarked_mac
from failoverd.policy.one_mac import pair_up, paravirtual_of, refuse_all
from failoverd.policy.stacking import changed_mac_reason, standing_on, unavailable_reason


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
    kept_masters: Mapping[int, str] = MappingProxyType({}),
) -> Judgements:
    """Pair these devices. A NIC that has no partner makes a pair of one.

    `in_place`: whether the pair of this paravirtual NIC is joined without a master of its own; then devices stacked on
    the NIC do no harm. `kept` are the pairs of those paravirtual NICs that have one already, by ifindex, `kept_masters`
    those of masters that have lost their marks.
    """
    masters = _masters(links, kept_masters)
    verdicts: dict[int, Judgement] = {}
    groups: dict[str, list[Link]] = defaultdict(list)
    uppers, staying = standing_on(links), standing_on(links, staying=True)
    above = {link.master for link in links.values() if link.master}
    for link in links.values():
        if reason := exclusion(link, links, link.ifindex in above, config, link.ifindex in kept):
            verdicts[link.ifindex] = reason
        else:
            groups[kept.get(link.ifindex, link.perm_mac)].append(link)
    for mac, ours in masters.items():
        _keep_standby(mac, ours, groups, config)
    pairs = _adopted(links, config, verdicts)
    refused: dict[str, int] = {}
    for mac, group in groups.items():
        if mac in pairs:
            refuse_all(group, _beside_adopted_reason(links, pairs[mac]), verdicts)
            continue
        master = masters.get(mac)
        paravirtual = paravirtual_of(group, config)
        is_in_place = master is None and (any(map(is_touched, group)) or any(map(in_place, paravirtual)))
        stays = paravirtual if is_in_place else []
        # A master with the configuration gets its NIC again, or gives it all back to the NIC, whatever is stacked on
        # that.
        bearers = paravirtual if is_in_use(master, mac) else stays
        held = {
            link.ifindex: unavailable_reason(
                link, master, links, {} if link in bearers else staying if link in paravirtual else uppers
            )
            for link in group
        }
        held |= {link.ifindex: "" for link in stays if _stays_in_master(link)}
        verdicts |= {ifindex: Judgement(Verdict.REFUSED, why) for ifindex, why in held.items() if why}
        unheld = [link for link in group if not held[link.ifindex]]
        changed = unheld if master is None and not is_in_place else []
        verdicts |= {
            link.ifindex: Judgement(Verdict.REFUSED, why) for link in changed if (why := changed_mac_reason(link))
        }
        free = [link for link in unheld if link not in changed or not changed_mac_reason(link)]
        pair = pair_up(mac, group, free, master, config, verdicts)
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


def _keep_standby(mac: str, master: Link, groups: dict[str, list[Link]], config: Pairing) -> None:
    """Keep a paravirtual NIC whose permanent MAC has changed inside failoverd's master as the standby of that master.

    The NIC carries the configuration by which the machine is reached. It is kept if it is the only one in the master,
    and no other one has the pair's MAC.
    """
    if any(is_on_paravirtual_bus(link, config) for link in groups.get(mac, ())):
        return
    every = [link for group in groups.values() for link in group]
    held = [link for link in every if link.master == master.ifindex and is_on_paravirtual_bus(link, config)]
    if len(held) == 1:
        groups[held[0].perm_mac].remove(held[0])
        groups[mac].append(held[0])


def _masters(links: Mapping[int, Link], kept: Mapping[int, str]) -> dict[str, Link]:
    """Return the bonds that failoverd made, by the MAC they were made for. A marked bond comes first."""
    made = {kept.get(link.ifindex, mac): link for link in links.values() if (mac := unmarked_mac(link))}
    return made | {mac: link for link in links.values() if (mac := marked_mac(link))}


def _adopted(links: Mapping[int, Link], config: Pairing, verdicts: dict[int, Judgement]) -> dict[str, Pair]:
    """Return the pairs that the kernel has joined, without those that the configuration ignores."""
    pairs: dict[str, Pair] = {}
    for pair, members in adopted(links):
        if any(is_ignored(link, config) for link in members):
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


def _stays_in_master(link: Link) -> bool:
    """Whether a NIC may stay in its present master.

    A VRF does no harm, and a NIC that is joined already is released from another master in good order.
    """
    return link.slave_kind == "vrf" or is_touched(link)
