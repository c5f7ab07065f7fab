"""The facts in failoverd's XML documents, and the same facts as iproute2 has them, to be compared."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from xml.etree import ElementTree

MAC = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}")
ASKED = {
    "links": ("ip", "-j", "-d", "addr"),
    "routes4": ("ip", "-j", "-4", "route", "show", "default", "table", "main"),
    "routes6": ("ip", "-j", "-6", "route", "show", "default", "table", "main"),
}
"""What iproute2 is asked."""
KINDS = (
    *(
        "bareudp dstport 9 ethertype ip",
        "dummy",
        "erspan local 127.0.0.1 remote 127.0.0.2 key 1",
        "geneve id 9 remote 127.0.0.2",
    ),
    *("gre local 127.0.0.1 remote 127.0.0.2", "gretap local 127.0.0.1 remote 127.0.0.2", "ifb", "nlmon", "team"),
    *("ip6gre local ::1 remote ::2", "ip6gretap local ::1 remote ::2", "ip6tnl local ::1 remote ::2", "vcan"),
    *("ipip local 127.0.0.1 remote 127.0.0.2", "sit local 127.0.0.1 remote 127.0.0.2", "wireguard", "macsec", "lowpan"),
    *("vti local 127.0.0.1 remote 127.0.0.2", "vxlan id 5 dstport 4789 local 127.0.0.1", "xfrm if_id 5", "netdevsim"),
    *("vrf table 10", "hsr slave1 v0 slave2 v1", "batadv", "netkit", "amt", "gtp role sgsn", "virt_wifi", "bond"),
    *("bond mode active-backup miimon 100", "bond mode balance-rr arp_interval 100 arp_ip_target 10.0.0.9"),
    *("bridge", "bridge stp_state 1 forward_delay 200", "bridge vlan_filtering 1", "macvlan mode bridge", "macvtap"),
    *("ipvlan", "ipvtap", "vlan id 5", "vlan protocol 802.1ad id 4094", "vlan id 1"),
)
"""What `ip link add` takes behind `type`; a kernel has some of them."""
ON_ANOTHER = ("macvlan", "macvtap", "ipvlan", "ipvtap", "vlan", "macsec", "virt_wifi", "lowpan")
"""The kinds that stand on another link."""
Facts = dict[str, dict[str, Any]]


def kind_commands(lower: str) -> list[str]:
    """The commands for `ip` that make a link k0, k1... of each kind, on `lower` as far as it stands on another one."""
    commands = []
    for number, kind in enumerate(KINDS):
        link = f"link {lower} " if kind.split()[0] in ON_ANOTHER else ""
        commands += [f"link add k{number} {link}type {kind}", f"link set k{number} up"]
    return commands


def by_iproute2(said: Mapping[str, bytes]) -> Facts:
    """The facts by the interface's name, from the answers to ASKED."""
    links, *routes = (json.loads(said[what].decode("utf-8", "surrogateescape") or "[]") for what in ASKED)
    facts = {link["ifname"]: _of_link(link, links) for link in links}
    for name, about in facts.items():
        for family, rows in zip((4, 6), routes, strict=True):
            through = [way | {"protocol": row.get("protocol")} for row in rows for way in _ways(row, name)]
            about[f"gateway{family}"] = _best(through, family)
            about[f"dhcp{family}"] = any(way["protocol"] == "dhcp" for way in through)
            about["autoconf"] |= family == 6 and any(way["protocol"] == "ra" for way in through)
    return facts


def _of_link(link: dict[str, Any], links: list[dict[str, Any]]) -> dict[str, Any]:
    kind = link.get("linkinfo", {}).get("info_kind")
    data = link.get("linkinfo", {}).get("info_data", {})
    is_vlan = kind == "vlan" and "link" in link and "link_netnsid" not in link
    kind = kind if kind in ("bridge", "bond") or is_vlan else "ethernet"
    address = link.get("address", "")
    parts = [one["ifname"] for one in links if one.get("master") == link["ifname"]]
    inet = {family: [one for one in link["addr_info"] if one.get("family") == family] for family in ("inet", "inet6")}
    found: dict[str, Any] = {
        "type": kind,
        "mtu": link["mtu"],
        "state": None if kind == "bridge" else link["operstate"].lower(),
        "mac": address if kind == "ethernet" and MAC.fullmatch(address) else None,
        "ipv4": [(one["local"], one["prefixlen"]) for one in inet["inet"]],
        "ipv6": [(one["local"], one["prefixlen"]) for one in inet["inet6"]],
        "autoconf": any(one.get("mngtmpaddr") or one.get("protocol") == "kernel_ra" for one in inet["inet6"]),
    }
    if kind == "bridge":
        found |= {"stp": "on" if data["stp_state"] else "off", "delay": data["forward_delay"] / 100}
        found["parts"] = sorted(parts, key=_bytes)
    elif kind == "bond":
        found |= {"mode": data["mode"], "miimon": data.get("miimon") or None}
        found["parts"] = sorted(sorted(parts, key=_bytes), key=lambda name: name != data.get("primary"))
    elif kind == "vlan":
        found |= {"tag": data["id"], "parts": [link["link"]]}
    return found


def _ways(route: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """The ways of a route that lead through this interface and are alive."""
    if route.get("type", "unicast") != "unicast":
        return []
    ways = [route | way for way in route.get("nexthops", [{}])]
    return [way for way in ways if way.get("dev") == name and "dead" not in way["flags"]]


def _best(ways: list[dict[str, Any]], family: int) -> str | None:
    """The gateway of the least metric; one that is of the other family is not in the XML."""
    with_gateway = [way for way in ways if way.get("gateway") or way.get("via")]
    best = min(with_gateway, key=lambda way: way.get("metric", 0), default=None)
    gateway = best.get("gateway") or best["via"]["host"] if best else None
    return gateway if gateway and (":" in gateway) == (family == 6) else None


def by_xml(documents: Iterable[ElementTree.Element]) -> Facts:
    """The same facts from the documents."""
    return {document.get("name", ""): _of_document(document) for document in documents}


def _of_document(document: ElementTree.Element) -> dict[str, Any]:
    kind = document.get("type")
    link, mac = document.find("link"), document.find("mac")
    found: dict[str, Any] = {
        "type": kind,
        "mtu": int(document.find("mtu").get("size")),  # type: ignore[union-attr, arg-type]
        "state": link.get("state") if link is not None else None,
        "mac": mac.get("address") if mac is not None else None,
        "autoconf": document.find("protocol/autoconf") is not None,
    }
    for family in (4, 6):
        protocol = document.find(f"protocol[@family='ipv{family}']")
        here = protocol if protocol is not None else ElementTree.Element("protocol")
        found[f"ipv{family}"] = [(one.get("address"), int(one.get("prefix", -1))) for one in here.iter("ip")]
        route = here.find("route")
        found[f"gateway{family}"] = route.get("gateway") if route is not None else None
        found[f"dhcp{family}"] = here.find("dhcp") is not None
    inner = document.find(kind or "")
    if inner is not None:
        found["parts"] = [one.get("name") for one in inner.findall("interface")]
    if kind == "bridge" and inner is not None:
        found |= {"stp": inner.get("stp"), "delay": float(inner.get("delay", -1))}
    elif kind == "bond" and inner is not None:
        miimon = inner.find("miimon")
        found |= {"mode": inner.get("mode"), "miimon": int(miimon.get("freq", -1)) if miimon is not None else None}
    elif kind == "vlan" and inner is not None:
        found["tag"] = int(inner.get("tag", -1))
    return found


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def unlike(one: Facts, other: Facts) -> list[Any]:
    """Interfaces that are on one side only, and facts that are not the same."""
    found: list[Any] = sorted(one.keys() ^ other.keys())
    for name in one.keys() & other.keys():
        keys = one[name].keys() | other[name].keys()
        found += [
            (name, key, one[name].get(key), other[name].get(key))
            for key in sorted(keys)
            if one[name].get(key) != other[name].get(key)
        ]
    return found
