"""ADD: make the VLANs and attachments, have addresses for them, and take all of it back if anything fails."""

from __future__ import annotations

import errno

from failoverd_cni.errors import INVALID_NAMESPACE, INVALID_NETCONF, KERNEL, CniError, warn
from failoverd_cni.inet import AF_INET6
from failoverd_cni.ipam import Ipam
from failoverd_cni.netconf import wrong
from failoverd_cni.pod import Pod, RefusedError
from failoverd_cni.result import Result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from failoverd_cni.inet import Address
    from failoverd_cni.ipam import Addresses, Route
    from failoverd_cni.netconf import Netconf, Vlan
    from failoverd_cni.netlink import Link
    from failoverd_cni.variables import Variables

METRIC = 2048
"""What a route gets, plus its VLAN's id, where there is one with that destination already and the IPAM plugin gives no
metric. It is behind the kernel's own, which is 0 for IPv4 and 1024 for IPv6 (net/ipv6, IP6_RT_PRIO_USER)."""


def add(variables: Variables, netconf: Netconf) -> dict[str, Any]:
    """Run ADD. Returns the result. Raises CniError; then nothing of it is left."""
    result = Result(netconf, variables.netns)
    names = netconf.names(variables.ifname)
    with Pod(variables.netns) as pod:
        if pod.is_the_hosts():
            raise CniError(INVALID_NAMESPACE, f"CNI_NETNS {variables.netns!r} is the network namespace of the host")
        work = _Add(variables, netconf, pod, result)
        try:
            for vlan, name in zip(netconf.vlans, names, strict=True):
                work.make(vlan, name)
            for step in work.waits:
                step()
        except BaseException as error:
            left = work.take_back()
            if isinstance(error, CniError):
                error.details = "; ".join(filter(None, [error.details, *left]))
            raise
    return result.document()


class _Add:
    """One ADD under way."""

    def __init__(self, variables: Variables, netconf: Netconf, pod: Pod, result: Result) -> None:
        self._variables = variables
        self._netconf = netconf
        self._pod = pod
        self._result = result
        self._undo: list[Callable[[], object]] = []
        self.waits: list[Callable[[], None]] = []
        """What has to be waited for when all VLANs are made: each detection takes a second, and they run together."""
        self._parents = [self._parent(vlan) for vlan in netconf.vlans if not vlan.failover]

    def make(self, vlan: Vlan, name: str) -> None:
        """Make one VLAN, with addresses and routes, up."""
        link = self._attached(vlan, name) if vlan.failover else self._device(vlan, name, self._parent(vlan))
        if vlan.attach == "pair" and vlan.ipam:
            # The host's addresses have come along. The master has them again when it is at home.
            _tried(f"{name}: take its addresses away", self._pod.flush, link.index, name)
        found = self._allocated(vlan)
        self._prepare(vlan, name, found)
        for address in found.addresses if found else ():
            _tried(f"{name}: add an address", self._pod.add_address, link.index, address, detects=vlan.waits)
        _tried(f"{name}: set up", self._pod.set_up, link.index)
        metrics = self._routes(vlan, name, link.index, found) if found else {}
        if found and found.has_ipv6() and vlan.waits:
            mine = [(link.index, address) for address in found.addresses if address.family == AF_INET6]
            self.waits.append(lambda: self._settle(name, mine))
        if vlan.attach == "pair" and not vlan.ipam:
            found = _tried(f"{name}: look up", _own, self._pod, link)
        self._result.add(name, link, found, metrics)
        self._result.add_dns(vlan, found)

    def take_back(self) -> list[str]:
        """Undo what was done, the last first. Returns what could not be undone."""
        left = []
        while self._undo:
            try:
                self._undo.pop()()
            except (CniError, RefusedError, OSError) as error:
                left.append(f"not taken back: {error}")
                warn(left[-1])
        return left

    def _parent(self, vlan: Vlan) -> Link:
        name = vlan.stands_on(self._variables.ifname)
        parent: Link | None = _tried(f"{name}: look up", self._pod.link, name)
        if parent is None:
            text = f"{name}: there is no such interface in the pod"
            raise CniError(
                INVALID_NETCONF, text, "" if vlan.parent else "a plugin before this one has to make CNI_IFNAME"
            )
        if vlan.mtu > parent.mtu:
            raise wrong(f"{vlan.place}mtu", vlan.mtu, f"{name} has {parent.mtu}, and a VLAN cannot have more")
        if not parent.up:
            raise CniError(
                KERNEL, f"{name} is down, and a VLAN on it cannot be set up", "a plugin before this one left it down"
            )
        return parent

    def _device(self, vlan: Vlan, name: str, parent: Link) -> Link:
        try:
            self._pod.make_vlan(name, parent.index, vlan.id, vlan.protocol, vlan.mtu or parent.mtu, vlan.mac)
        except RefusedError as error:
            raise self._refused(vlan, name, error) from None
        # By the index, since another device may have the name later; by the name only where the look-up fails.
        index = 0
        self._undo.append(lambda: self._pod.delete(index, name))
        link: Link | None = _tried(f"{name}: look up", self._pod.link, name)
        if link is None:
            raise CniError(KERNEL, f"{name} is gone as soon as it is made", "another program deleted or renamed it")
        index = link.index
        return link

    def _attached(self, vlan: Vlan, name: str) -> Link:
        from failoverd_cni.attach import Attachment

        if _tried(f"{name}: look up", self._pod.link, name) is not None:
            raise CniError(KERNEL, f"{name}: the pod has an interface of that name")
        attachment = Attachment(vlan, self._variables, self._netconf)
        self._undo.append(lambda: attachment.remove(self._pod))
        link: Link = _tried(f"{name}: attach", attachment.make, self._pod)
        return link

    def _refused(self, vlan: Vlan, name: str, error: RefusedError) -> CniError:
        """Return the error for a VLAN that the kernel did not make."""
        parent = vlan.stands_on(self._variables.ifname)
        what = f"{name}: make VLAN {vlan.id} on {parent}"
        if error.number == errno.EEXIST and self._result.has(name):
            return CniError(
                INVALID_NETCONF, f"{name}: two plugins of this list have vlanId {vlan.id} on {parent}, or one name"
            )
        if error.number == errno.EEXIST:
            why = f"the pod has an interface {name}, or VLAN {vlan.id} of {parent} under another name"
            return CniError(KERNEL, f"{what}: {error}", why)
        if error.number == errno.EOPNOTSUPP:
            return CniError(KERNEL, f"{what}: {error}", "does the host's kernel have VLANs? Try modprobe 8021q on it")
        return CniError(KERNEL, f"{what}: {error}")

    def _allocated(self, vlan: Vlan) -> Addresses | None:
        """Return the addresses that the IPAM plugin has for it."""
        if not vlan.ipam:
            return None
        ipam = Ipam(vlan, self._variables, self._netconf)
        self._undo.append(lambda: ipam.call("DEL"))
        return ipam.add()

    def _prepare(self, vlan: Vlan, name: str, found: Addresses | None) -> None:
        """Write the device's sysctls, those of IPv6 only if it gets such an address.

        keep_addr_on_down: a parent that goes down takes it down, too. The notifications tell neighbours of a new MAC.
        """
        device = f"ipv6/conf/{name}"
        values = [(f"{device}/accept_ra", "0")] if vlan.accept_ra is False else []
        if found and found.has_ipv6():
            values += [(f"{device}/disable_ipv6", "0"), (f"{device}/keep_addr_on_down", "1")]
            values += [(f"{device}/ndisc_notify", "1")]
        if found:
            values += [(f"ipv4/conf/{name}/arp_notify", "1")]
        if values:
            _tried(f"{name}: write sysctls", self._pod.write_sysctls, values)

    def _routes(self, vlan: Vlan, name: str, index: int, found: Addresses) -> dict[int, int]:
        """Add the routes. Returns the metrics that some got here, by their place."""
        metrics = {}
        for place, route in enumerate(found.routes):
            gateway = route.gateway or found.gateways.get(route.dst.family)
            try:
                self._pod.add_route(index, route.dst, gateway, route.numbers)
            except RefusedError as error:
                if error.number != errno.EEXIST or "priority" in route.numbers:
                    raise CniError(KERNEL, f"{_add_route(name, route)}: {error}") from None
                metrics[place] = METRIC + vlan.id
                numbers = route.numbers | {"priority": metrics[place]}
                _tried(_add_route(name, route), self._pod.add_route, index, route.dst, gateway, numbers)
        return metrics

    def _settle(self, name: str, waiting: list[tuple[int, Address]]) -> None:
        failed: Address | None = _tried(f"{name}: duplicate address detection", self._pod.settle, waiting)
        if failed is not None:
            import _socket

            text = _socket.inet_ntop(failed.family, failed.raw)
            raise CniError(KERNEL, f"{name}: duplicate address detection: another machine has {text}")


def _own(pod: Pod, link: Link) -> Addresses | None:
    """Return the addresses that a device has, as an IPAM plugin would; None where it has none but link-local ones."""
    import _socket

    from failoverd_cni.ipam import Addresses

    found = [one for one in sorted(pod.addresses(link.index)) if not (one[0] == AF_INET6 and one[1][:2] == b"\xfe\x80")]
    ips = [{"address": f"{_socket.inet_ntop(family, raw)}/{bits}"} for family, raw, bits in found]
    return Addresses({"ips": ips}) if ips else None


def _add_route(name: str, route: Route) -> str:
    return f"{name}: add the route to {route.row['dst']}"


def _tried(what: str, call: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
    """Do something in the pod. Raises CniError, which says what was tried and what the kernel answered."""
    try:
        return call(*arguments, **more)
    except RefusedError as error:
        raise CniError(KERNEL, f"{what}: {error}") from None
    except OSError as error:
        raise CniError(KERNEL, f"{what}: {error.strerror}") from None
