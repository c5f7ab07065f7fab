"""CHECK: are the VLANs as ADD left them? What later plugins added is none of its business."""

from __future__ import annotations

from failoverd_cni.errors import CHECK_FAILED, INVALID_NETCONF, KERNEL, CniError, warn
from failoverd_cni.inet import Address, mac_text
from failoverd_cni.ipam import Ipam
from failoverd_cni.netlink import KIND
from failoverd_cni.pod import Pod, RefusedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from failoverd_cni.attach import Attachment
    from failoverd_cni.netconf import Netconf, Vlan
    from failoverd_cni.netlink import Link
    from failoverd_cni.variables import Variables


def check(variables: Variables, netconf: Netconf) -> None:
    """Run CHECK. Raises CniError, code 101 for the first difference."""
    previous = netconf.previous()
    if not previous:
        raise CniError(INVALID_NETCONF, "prevResult is missing; CHECK compares with it")
    names = netconf.names(variables.ifname)
    with Pod(variables.netns) as pod:
        for vlan, name in zip(netconf.vlans, names, strict=True):
            try:
                if vlan.failover:
                    from failoverd_cni.attach import Attachment

                    _attached(vlan, name, previous, pod, Attachment(vlan, variables, netconf))
                else:
                    _compare(vlan, name, previous, pod, vlan.stands_on(variables.ifname))
            except RefusedError as error:
                raise CniError(KERNEL, f"{name}: look up: {error}") from None
            if vlan.ipam:
                Ipam(vlan, variables, netconf).call("CHECK")


def _compare(vlan: Vlan, name: str, previous: dict[str, Any], pod: Pod, below: str) -> None:
    row, ips = _of(name, previous)
    if row is None:
        raise CniError(CHECK_FAILED, f"{name}: prevResult has no such interface in the pod")
    link, parent = pod.link(name), pod.link(below)
    if link is None:
        raise CniError(CHECK_FAILED, f"{name} is gone")
    if parent is None:
        raise CniError(CHECK_FAILED, f"{name}: {below}, on which it stands, is gone")
    for what in _differences(vlan, link, parent, below, row):
        raise CniError(CHECK_FAILED, f"{name} {what}")
    _addressed(name, link, ips, pod)


def _attached(vlan: Vlan, name: str, previous: dict[str, Any], pod: Pod, attachment: Attachment) -> None:
    """Compare what stands on a failover master. A daemon that does not answer is no difference."""
    from failoverd_cni.control import NoDaemonError

    row, ips = _of(name, previous)
    if row is None:
        raise CniError(CHECK_FAILED, f"{name}: prevResult has no such interface in the pod")
    link = pod.link(name)
    if link is None:
        raise CniError(CHECK_FAILED, f"{name} is gone")
    if not attachment.fits(link):
        raise CniError(CHECK_FAILED, f"{name} is not {vlan.attach} on a failover master")
    for what in _of_any(vlan, link, row):
        raise CniError(CHECK_FAILED, f"{name} {what}")
    try:
        if attachment.row() is None:
            raise CniError(CHECK_FAILED, f"{name} is not attached: failoverd does not know it")
    except NoDaemonError as error:
        warn(f"{name}: {error}")
    _addressed(name, link, ips, pod)


def _addressed(name: str, link: Link, ips: list[str], pod: Pod) -> None:
    present = pod.addresses(link.index) if ips else set()
    for text in ips:
        address = _address(text)
        if (address.family, address.raw, address.bits) not in present:
            raise CniError(CHECK_FAILED, f"{name} does not have {text}")


def _differences(vlan: Vlan, link: Link, parent: Link, below: str, row: dict[str, Any]) -> Iterator[str]:
    if link.kind != KIND or (link.vid, link.protocol) != (vlan.id, vlan.protocol):
        found = f"VLAN {link.vid}" if link.kind == KIND else f"a {link.kind.decode() or 'device of hardware'}"
        yield f"is {found}, not VLAN {vlan.id} with the tag 0x{vlan.protocol:04x}"
    if link.lower != parent.index or link.elsewhere:
        yield f"does not stand on {below}"
    yield from _of_any(vlan, link, row)


def _of_any(vlan: Vlan, link: Link, row: dict[str, Any]) -> Iterator[str]:
    if not link.up:
        yield "is down"
    if vlan.mtu and link.mtu != vlan.mtu:
        yield f"has an MTU of {link.mtu}, not {vlan.mtu}"
    if row.get("mac") and str(row["mac"]).lower() != mac_text(link.mac):
        yield f"has the MAC {mac_text(link.mac)}, not {row['mac']}"


def _of(name: str, previous: dict[str, Any]) -> tuple[dict[str, Any] | None, list[str]]:
    """Return the device's row in the previous result, and its addresses there."""
    for index, row in enumerate(previous.get("interfaces") or []):
        if row.get("name") == name and row.get("sandbox"):
            ips = previous.get("ips") or []
            return row, [str(ip.get("address")) for ip in ips if ip.get("interface") == index]
    return None, []


def _address(text: str) -> Address:
    try:
        return Address(text)
    except ValueError as error:
        raise CniError(INVALID_NETCONF, f"prevResult.ips: {error}") from None
