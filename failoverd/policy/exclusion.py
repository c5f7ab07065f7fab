"""Devices that can be in no pair, whatever the others are, and why."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

from failoverd.config.spec import Pairing
from failoverd.model.links import ETHER, Link
from failoverd.model.linktable import LinkTable
from failoverd.model.pairs import Judgement, Verdict
from failoverd.policy.adoption import is_kernels, left_to_driver

NO_MAC = ("", "00:00:00:00:00:00")


def excluded(link: Link, links: LinkTable, config: Pairing) -> Judgement | None:
    """Return why a device that was not judged with any MAC can be in no pair; None where it may be in one."""
    return exclusion(link, links, any(links.slaves(link.ifindex)), config, is_kept=False)


def exclusion(
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
    if is_ignored(link, config):
        return Judgement(Verdict.IGNORED, "the configuration says so ([pairing] ignore or ignore_drivers)")
    if why := left_to_driver(link, links, is_master):
        return Judgement(Verdict.LEFT_ALONE, why)
    if link.perm_mac in NO_MAC and not is_kept:
        return Judgement(Verdict.IGNORED, "it has no permanent MAC to be matched by")
    if not is_on_paravirtual_bus(link, config) and link.bus != "pci":
        return Judgement(Verdict.IGNORED, f"its bus is {link.bus or 'unknown'}, neither paravirtual nor PCI")
    return None


def is_ignored(link: Link, config: Pairing) -> bool:
    """Whether the configuration has this NIC left alone."""
    names = (link.name, *link.altnames, link.perm_mac, link.mac)
    if link.driver in config.ignore_drivers:
        return True
    return any(fnmatchcase(name.lower(), pattern.lower()) for pattern in config.ignore for name in names)


def is_on_paravirtual_bus(link: Link, config: Pairing) -> bool:
    """Whether a NIC is paravirtual by its bus."""
    return link.bus in config.paravirtual_buses
