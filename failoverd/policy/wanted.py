"""Which names the configuration wants for the devices of a pair, and when it wants nothing.

Nobody is fought with. A device is renamed by policy once; from then on only while its name still has the policy's form:
somebody who called it otherwise has had a reason. What was renamed says so itself, by an alternative name with the
name it had before: kernel state outlives a crash, a restart and an upgrade of failoverd, and cannot get lost as a file
can. Rejected: a second mark with the name the policy gave, to know it from one of the same form that somebody else
gave; it would be seen on every standby of every machine.

A name is never taken from anybody. Where it is taken, or would be too long, the device keeps what it has.
"""

from __future__ import annotations

from collections.abc import Mapping

from failoverd.config.patterns import fill, gives
from failoverd.config.spec import Naming
from failoverd.model.links import IFNAMSIZ, Link
from failoverd.policy.naming import flat, formers, spare_name, why_not_a_name

Links = Mapping[int, Link]


def holder(name: str, links: Links) -> Link | None:
    """The device with this name or alternative name."""
    return next((link for link in links.values() if name == link.name or name in link.altnames), None)


def why_not(name: str, links: Links, *mine: int) -> str:
    """Why a device of ours cannot have this name, in words, or ""."""
    found = holder(name, links)
    if found is not None and found.ifindex not in mine:
        return f"it is a name of {found.name}"
    return why_not_a_name(name)


def nic_name(nic: Link, master: int, mac: str, naming: Naming, udev: str, links: Links) -> str:
    """What a paravirtual NIC is called when it is on its own. `udev` is what udev wanted to call it, "" for nothing.

    One that still has a standby's name has lost its master under our hands.
    """
    suffix = naming.standby_suffix
    names = [*formers(nic), udev]
    if nic.name == spare_name(mac):
        names += sorted(name.removesuffix(suffix) for name in nic.altnames if name.endswith(suffix))
    names.append(nic.name.removesuffix(suffix))
    return next((name for name in names if name and not why_not(name, links, nic.ifindex, master)), nic.name)


def master_name(alone: str, mac: str, naming: Naming) -> str:
    """What the master of a NIC is to be called that is called so when it is on its own."""
    return fill(naming.master, {"nic": alone, "mac": flat(mac)})


def own_name(vf: Link, udev: str, links: Links) -> str:
    """What the VF is called where there is no policy: as udev wanted where it could not, else as it is."""
    return udev if udev and not why_not(udev, links, vf.ifindex) else vf.name


def policy_name(vf: Link, master: str, mac: str, naming: Naming) -> str:
    """What the configuration calls the VF; its own name where it does not."""
    return fill(naming.primary, {"master": master, "mac": flat(mac)}) or vf.name


def primary_name(vf: Link, master: str, mac: str, naming: Naming, udev: str, links: Links) -> str:
    """What the VF is to be called; its own name where it is to be left as it is."""
    name = policy_name(vf, master, mac, naming)
    is_ours = naming.primary and is_policys(vf, mac, naming) and not why_not(name, links, vf.ifindex)
    return name if is_ours else own_name(vf, udev, links)


def is_policys(vf: Link, mac: str, naming: Naming) -> bool:
    """Whether the policy may name this VF: it has not yet, or nobody else has since."""
    had = formers(vf)
    return not had or vf.name in had or gives(naming.primary, vf.name, flat(mac))


def standby_name(nic: int, master: str, mac: str, naming: Naming, links: Links) -> str:
    """`<master>nsby`; where that would be too long, or somebody else has it, a name made of the MAC."""
    name = master + naming.standby_suffix
    return spare_name(mac) if why_not(name, links, nic) else name


def standby_wish(nic: Link, master: str, mac: str, naming: Naming, links: Links) -> str:
    """What the standby is to be called whose name has still the form the policy gives; else its own name."""
    if nic.name != spare_name(mac) and not nic.name.endswith(naming.standby_suffix):
        return nic.name
    name = standby_name(nic.ifindex, master, mac, naming, links)
    return nic.name if why_not(name, links, nic.ifindex) else name


def wanted_altnames(link: Link, role: str, master: str, mac: str, naming: Naming) -> frozenset[str]:
    """The alternative names a slave is to bear. An administrator finds the standby by its usual name in any case."""
    roles = {f"{master}-{role}"} if naming.altnames else set()
    if role == "standby":
        return frozenset(roles | ({master + naming.standby_suffix} if link.name == spare_name(mac) else set()))
    return frozenset(roles | _too_long(link, master, mac, naming))


def _too_long(vf: Link, master: str, mac: str, naming: Naming) -> set[str]:
    """The policy's name of a VF where it is longer than a device's may be; as an alternative one it may."""
    name = policy_name(vf, master, mac, naming)
    return {name} if len(name.encode(errors="surrogateescape")) > IFNAMSIZ else set()


def stale_altnames(link: Link, role: str, master: str, mac: str, naming: Naming) -> frozenset[str]:
    """Those of a slave that are of the same form, and for another master or no longer needed."""
    named_by_us = role == "standby" and link.name in (spare_name(mac), master + naming.standby_suffix)
    ends = ((f"-{role}",) if naming.altnames else ()) + ((naming.standby_suffix,) if named_by_us else ())
    found = {name for name in link.altnames if name.endswith(ends)}
    if role == "primary" and naming.primary:
        long = {name for name in link.altnames if len(name.encode(errors="surrogateescape")) > IFNAMSIZ}
        found |= {name for name in long if gives(naming.primary, name, flat(mac))}
    return frozenset(found - wanted_altnames(link, role, master, mac, naming))


def ours(link: Link, role: str, master: str, naming: Naming) -> frozenset[str]:
    """The alternative names a slave has borne because it was one of this master."""
    usual = {master + naming.standby_suffix} if role == "standby" else _too_long(link, master, link.perm_mac, naming)
    return frozenset({f"{master}-{role}", *usual} & link.altnames)
