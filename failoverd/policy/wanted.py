"""The names that the configuration wants for the devices of a pair, and when it wants none.

failoverd does not fight over names. It renames a device by policy once; from then on only while its name still has the
policy's form, since another program that gave it another name had a reason. A renamed device bears an alternative name
with the name it had before: kernel state outlives a crash, a restart and an upgrade of failoverd, and cannot get lost
as a file can. Rejected: a second mark with the name that the policy gave, to tell it from a name of the same form that
another program gave; it would show on every standby of every machine. So a slave that another program gives a name of
the policy's form keeps it only until failoverd is restarted.

failoverd never takes a name from another device. Where a name is taken, or would be too long, the device keeps what it
has.
"""

from __future__ import annotations

from collections.abc import Mapping

from failoverd.config.patterns import fill, gives
from failoverd.config.spec import Naming
from failoverd.model.links import IFNAMSIZ, Link
from failoverd.model.linktable import LinkTable
from failoverd.policy.naming import flat, formers, invalid_name_reason, own_altnames, spare_name

Links = Mapping[int, Link]


def holder(name: str, links: Links) -> Link | None:
    """Return the device with this name or alternative name."""
    return LinkTable.of(links).named(name)


def name_conflict(name: str, links: Links, *mine: int) -> str:
    """Return why a device of the pair cannot have this name, in words, or ""."""
    found = LinkTable.of(links).other(name, *mine)
    return invalid_name_reason(name) if found is None else f"it is a name of {found.name}"


def nic_name(nic: Link, master: int, mac: str, naming: Naming, udev: str, links: Links) -> str:
    """Return the name of a paravirtual NIC that is on its own. `udev` is the name that udev wanted, "" for none.

    A NIC that still has a standby's name has lost its master without failoverd's doing.
    """
    suffix = naming.standby_suffix
    names = [*formers(nic), udev]
    if nic.name == spare_name(mac):
        names += [name.removesuffix(suffix) for name in own_altnames(nic) if name.endswith(suffix)]
    names.append(nic.name.removesuffix(suffix))
    return next((name for name in names if name and not name_conflict(name, links, nic.ifindex, master)), nic.name)


def master_name(alone: str, mac: str, naming: Naming) -> str:
    """Return the name of the master of a NIC that is called `alone` on its own."""
    return fill(naming.master, {"nic": alone, "mac": flat(mac)})


def own_name(vf: Link, udev: str, links: Links) -> str:
    """Return the VF's name where there is no policy: the one that udev wanted in vain, else its present one."""
    return udev if udev and not name_conflict(udev, links, vf.ifindex) else vf.name


def policy_name(vf: Link, master: str, mac: str, naming: Naming) -> str:
    """Return the configured name of the VF; its own name where none is configured."""
    return fill(naming.primary, {"master": master, "mac": flat(mac)}) or vf.name


def primary_name(vf: Link, master: str, mac: str, naming: Naming, udev: str, links: Links) -> str:
    """Return the name that the VF is to have; its own name where it is left as it is."""
    name = policy_name(vf, master, mac, naming)
    is_ours = naming.primary and is_policy_name(vf, mac, naming) and not name_conflict(name, links, vf.ifindex)
    return name if is_ours else own_name(vf, udev, links)


def is_policy_name(vf: Link, mac: str, naming: Naming) -> bool:
    """Whether the policy may name this VF: it has not yet, or no other program has renamed it since."""
    had = formers(vf)
    return not had or vf.name in had or gives(naming.primary, vf.name, flat(mac))


def standby_name(nic: int, master: str, mac: str, naming: Naming, links: Links) -> str:
    """Return `<master>nsby`, or a name made of the MAC where that is too long or another device has it."""
    name = master + naming.standby_suffix
    return spare_name(mac) if name_conflict(name, links, nic) else name


def standby_wish(nic: Link, master: str, mac: str, naming: Naming, links: Links) -> str:
    """Return the wanted name of a standby whose name still has the policy's form; else its own name."""
    if nic.name != spare_name(mac) and not nic.name.endswith(naming.standby_suffix):
        return nic.name
    name = standby_name(nic.ifindex, master, mac, naming, links)
    return nic.name if name_conflict(name, links, nic.ifindex) else name


def wanted_altnames(link: Link, role: str, master: str, mac: str, naming: Naming) -> frozenset[str]:
    """Return the alternative names that a slave is to bear. The standby's usual name always finds it."""
    roles = {f"{master}-{role}"} if naming.altnames else set()
    if role == "standby":
        return frozenset(roles | ({master + naming.standby_suffix} if link.name == spare_name(mac) else set()))
    return frozenset(roles | _too_long(link, master, mac, naming))


def _too_long(vf: Link, master: str, mac: str, naming: Naming) -> set[str]:
    """Return the policy's name of a VF that is too long for a device name; as an alternative name it may be longer."""
    name = policy_name(vf, master, mac, naming)
    return {name} if len(name.encode(errors="surrogateescape")) > IFNAMSIZ else set()


def stale_altnames(link: Link, role: str, master: str, mac: str, naming: Naming) -> frozenset[str]:
    """Return a slave's alternative names of that form that belong to another master or are no longer needed.

    A mark is of no form, whatever name it has in it.
    """
    named_by_us = role == "standby" and link.name in (spare_name(mac), master + naming.standby_suffix)
    ends = ((f"-{role}",) if naming.altnames else ()) + ((naming.standby_suffix,) if named_by_us else ())
    others = own_altnames(link)
    found = {name for name in others if name.endswith(ends)}
    if role == "primary" and naming.primary:
        long = {name for name in others if len(name.encode(errors="surrogateescape")) > IFNAMSIZ}
        found |= {name for name in long if gives(naming.primary, name, flat(mac))}
    return frozenset(found - wanted_altnames(link, role, master, mac, naming))


def ours(link: Link, role: str, master: str, naming: Naming) -> frozenset[str]:
    """Return the alternative names that a slave has borne because it was one of this master."""
    usual = {master + naming.standby_suffix} if role == "standby" else _too_long(link, master, link.perm_mac, naming)
    return frozenset({f"{master}-{role}", *usual} & link.altnames)
