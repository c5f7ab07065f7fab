"""RTM_NEWADDR, DELADDR and GETADDR of both families (inet_rtm_newaddr, inet6_rtm_newaddr), and lifetimes."""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator

from failoverd_lab.simkernel import inet4, inet6, wire
from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel.inetmsg import IFADDR, address_body, announce_address
from failoverd_lab.simkernel.net import Net
from failoverd_lab.simkernel.requests import Reply, Request, Row, number_of
from failoverd_lab.simkernel.state import Address, Device, Refused

SETTABLE6 = n.IFA_F_NODAD | n.IFA_F_HOMEADDRESS | n.IFA_F_NOPREFIXROUTE | 0x100 | 0x400 | 0x4
"""The flags that IPv6 accepts in a request; the last three are MANAGETEMPADDR, MCAUTOJOIN and OPTIMISTIC. It drops the
rest."""


def new(net: Net, request: Request) -> list[Reply]:
    """RTM_NEWADDR."""
    device, address = _parse(net, request)
    ipv4 = address.family == n.AF_INET
    if ipv4:
        old = inet4.find(device, address.local, address.prefixlen, address.address)
    else:
        old = inet6.find(device, address.local)
    if old is not None:
        if request.wants(n.NLM_F_EXCL) or not request.wants(n.NLM_F_REPLACE):
            raise Refused(errno.EEXIST)
        _live(net, device, old, address.preferred_until, address.valid_until)
        announce_address(net, device, old, cause=request.cause)
        return []
    if address.prefixlen > len(address.local) * 8:
        raise Refused(errno.EINVAL)
    address.created = net.now
    _live(net, device, address, address.preferred_until, address.valid_until)
    if ipv4:
        inet4.add(net, device, address, request.cause)
    else:
        inet6.add(net, device, address)
    return []


def delete(net: Net, request: Request) -> list[Reply]:
    """RTM_DELADDR. Attributes that the request does not have are not compared."""
    family, prefixlen, _, _, index = request.head(IFADDR)
    attrs = request.attrs(IFADDR)
    device = net.devices.get(index)
    if device is None:
        raise Refused(errno.ENODEV)
    if family == n.AF_INET:
        for address in device.v4:
            if _meant(address, prefixlen, attrs):
                inet4.remove(net, device, address, request.cause)
                return []
        raise Refused(errno.EADDRNOTAVAIL)
    local = attrs.get(n.IFA_LOCAL, attrs.get(n.IFA_ADDRESS))
    for address in device.v6:
        if address.local == local and address.prefixlen == prefixlen:
            inet6.remove(net, device, address)
            return []
    raise Refused(errno.EADDRNOTAVAIL)


def dump(net: Net, request: Request) -> Iterator[Row]:
    """RTM_GETADDR: IPv4 of every device, then IPv6. A strict socket may ask for one device."""
    family = request.body[0] if request.body else n.AF_UNSPEC
    only = request.head(IFADDR)[4] if request.strict else 0
    if only and only not in net.devices:
        raise Refused(errno.ENODEV)
    for af in (n.AF_INET, n.AF_INET6):
        if family not in (n.AF_UNSPEC, af):
            continue
        last = 0
        while following := [i for i in net.devices if i > last]:
            last = min(following)
            device = net.devices[last]
            if only in (0, last):
                for address in list(device.v4 if af == n.AF_INET else device.v6):
                    yield n.RTM_NEWADDR, address_body(net, device, address), net.link_seq + net.address_seq


def _parse(net: Net, request: Request) -> tuple[Device, Address]:
    family, prefixlen, flags, scope, index = request.head(IFADDR)
    attrs = request.attrs(IFADDR)
    size = {n.AF_INET: 4, n.AF_INET6: 16}.get(family)
    if size is None:
        raise Refused(errno.EOPNOTSUPP)
    local = attrs.get(n.IFA_LOCAL, attrs.get(n.IFA_ADDRESS, b"") if family == n.AF_INET6 else b"")
    if len(local) != size or (family == n.AF_INET and prefixlen > 32):
        raise Refused(errno.EINVAL)
    device = net.devices.get(index)
    if device is None:
        raise Refused(errno.ENODEV)
    flags = number_of(attrs[n.IFA_FLAGS]) if n.IFA_FLAGS in attrs else flags
    address = Address(family, local, prefixlen, scope, flags, attrs.get(n.IFA_ADDRESS, local))
    _lifetimes(net, address, attrs)
    if n.IFA_RT_PRIORITY in attrs:
        address.metric = number_of(attrs[n.IFA_RT_PRIORITY])
    if n.IFA_PROTO in attrs:
        address.proto = number_of(attrs[n.IFA_PROTO], 1)
    if family == n.AF_INET:
        address.label = wire.text(attrs[n.IFA_LABEL]) if n.IFA_LABEL in attrs else device.name
        address.broadcast = attrs.get(n.IFA_BROADCAST, b"")
    else:
        _only_ipv6(address)
    return device, address


def _only_ipv6(address: Address) -> None:
    """Keep the flags that the kernel keeps, and derive the scope as it does."""
    if address.local[0] == 0xFF:
        raise Refused(errno.EADDRNOTAVAIL)
    address.flags &= SETTABLE6
    link_local = address.local[0] == 0xFE and address.local[1] & 0xC0 == 0x80
    loopback = address.local == bytes(15) + b"\1"
    address.scope = n.RT_SCOPE_LINK if link_local else n.RT_SCOPE_HOST if loopback else n.RT_SCOPE_UNIVERSE


def _lifetimes(net: Net, address: Address, attrs: dict[int, bytes]) -> None:
    if n.IFA_CACHEINFO not in attrs:
        return
    preferred, valid = struct.unpack_from("=II", attrs[n.IFA_CACHEINFO])
    if not valid or preferred > valid:
        raise Refused(errno.EINVAL)
    address.valid_until = None if valid == n.INFINITY else net.now + valid
    address.preferred_until = None if preferred == n.INFINITY else net.now + preferred


def _live(net: Net, device: Device, address: Address, preferred: float | None, valid: float | None) -> None:
    """set_ifa_lifetime(): flags by lifetime, and timers for when they end."""
    address.preferred_until, address.valid_until, address.updated = preferred, valid, net.now
    address.flags &= ~(n.IFA_F_PERMANENT | n.IFA_F_DEPRECATED)
    address.flags |= n.IFA_F_PERMANENT if valid is None else 0
    if valid is not None:
        net.timers.at(valid, lambda: _expire(net, device, address))
    if preferred is not None:
        if preferred <= net.now:
            address.flags |= n.IFA_F_DEPRECATED
        else:
            net.timers.at(preferred, lambda: _deprecate(net, device, address))


def _expire(net: Net, device: Device, address: Address) -> None:
    if address.valid_until is None or address.valid_until > net.now:
        return
    if address in device.v4:
        inet4.remove(net, device, address)
    elif address in device.v6:
        inet6.remove(net, device, address)


def _deprecate(net: Net, device: Device, address: Address) -> None:
    there = address in device.v4 or address in device.v6
    if there and address.preferred_until is not None and address.preferred_until <= net.now:
        address.flags |= n.IFA_F_DEPRECATED
        announce_address(net, device, address)


def _meant(address: Address, prefixlen: int, attrs: dict[int, bytes]) -> bool:
    """inet_rtm_deladdr(): each attribute in the request must match."""
    if n.IFA_LOCAL in attrs and attrs[n.IFA_LOCAL] != address.local:
        return False
    if n.IFA_LABEL in attrs and wire.text(attrs[n.IFA_LABEL]) != address.label:
        return False
    if n.IFA_ADDRESS not in attrs:
        return True
    same = inet4.same_net(address, attrs[n.IFA_ADDRESS])
    return address.prefixlen == prefixlen and same
