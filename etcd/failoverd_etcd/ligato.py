"""Ligato's keys of Linux interfaces and routes, as links: those of its old linuxplugin and of vpp-agent 2 and 3.

Input is what `etcdctl get --prefix` prints: a key in one line, its value in the next ones. Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from failoverd.config.kinds import show
from failoverd.config.links.values import NAME

INTERFACES = ("/linux/config/v1/interface/", "/config/linux/interfaces/v2/interface/")
ROUTES = ("/linux/config/v1/route/", "/config/linux/l3/v2/route/")
KINDS: Mapping[object, str] = {"VETH": "veth", 0: "veth", None: "veth", "EXISTING": "existing"}
"""What a type is here. In the older keys it is a number, and left out for a veth."""
BY_TYPE = {"NSID": "name", "PID": "pid", "FD": "path"}
"""The types of a namespace's reference in the newer keys; MICROSERVICE is a container."""
BY_FIELD = {"name": "name", "pid": "pid", "filepath": "path"}
"""The fields of it in the older ones."""

_KEY = re.compile(r"/\S*")


def convert(text: str) -> tuple[str, list[str]]:
    """Return the links as TOML, and a sentence for each thing that could not be converted."""
    left: list[str] = []
    links: dict[str, dict[str, Any]] = {}
    for key, value in _pairs(text, left):
        if any(part in key for part in INTERFACES):
            name = _name(str(value.get("name") or key.rpartition("/")[2]))
            if name in links:
                left.append(f"{key}: another interface becomes the link {name}, too; it is left out")
                continue
            if (link := _link(key, value, left)) is not None:
                links[name] = link
    for key, value in _pairs(text, []):
        if any(part in key for part in ROUTES):
            _route(key, value, links, left)
    return "\n".join(_toml(name, link) for name, link in sorted(links.items())), left


def _pairs(text: str, left: list[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the keys with their values."""
    key, lines = "", list[str]()
    for line in [*text.splitlines(), "/"]:
        if not _KEY.fullmatch(line):
            lines.append(line)
            continue
        if key and lines:
            try:
                value = json.loads("\n".join(lines))
            except (ValueError, RecursionError) as error:
                left.append(f"{key}: this is not JSON: {error}")
            else:
                if isinstance(value, dict):
                    yield key, value
        key, lines = line, []


def _name(name: str) -> str:
    """Return a name that a link may have."""
    made = re.sub(r"[^a-z0-9._-]", "-", name.lower()).lstrip("._-")[:63]
    return made if NAME.fullmatch(made) else "link"


def _link(key: str, value: Mapping[str, Any], left: list[str]) -> dict[str, Any] | None:
    kind = KINDS.get(value.get("type"))
    if kind is None:
        left.append(f"{key}: failoverd makes no interface of type {show(value.get('type'))}; it is left out")
        return None
    link: dict[str, Any] = {"kind": kind}
    peer = (value.get("veth") or {}).get("peer_if_name")
    if kind == "veth" and peer:
        link["peer"] = _name(str(peer))
    link["device"] = str(value.get("host_if_name") or value.get("name") or key.rpartition("/")[2])
    if (namespace := _namespace(value.get("namespace") or {})) is not None:
        link["namespace"] = namespace
    if not value.get("enabled"):
        link["up"] = False
    for theirs, ours in (("phys_address", "mac"), ("mtu", "mtu"), ("ip_addresses", "addresses")):
        if value.get(theirs):
            link[ours] = value[theirs].lower() if ours == "mac" else value[theirs]
    if value.get("link_only"):
        link.pop("addresses", None)
    left += [
        f"{key}: {word} has no counterpart; it is left out"
        for word in (value.get("veth") or {})
        if word.endswith("checksum_offloading")
    ]
    return link


def _namespace(given: Mapping[str, Any]) -> dict[str, Any] | None:
    reference = given.get("reference")
    label = reference if given.get("type") == "MICROSERVICE" else given.get("microservice")
    if label:
        return {"container": f"env:MICROSERVICE_LABEL={label}"}
    if reference and (by := BY_TYPE.get(str(given.get("type")))):
        return {by: int(reference) if by == "pid" and str(reference).isdigit() else str(reference)}
    return next(({by: given[field]} for field, by in BY_FIELD.items() if given.get(field)), None)


def _route(key: str, value: Mapping[str, Any], links: Mapping[str, dict[str, Any]], left: list[str]) -> None:
    link = links.get(_name(str(value.get("outgoing_interface") or value.get("interface") or "")))
    gateway = value.get("gw_addr")
    to = value.get("dst_network") or value.get("dst_ip_addr")
    if value.get("default") or not to:
        to = "::/0" if ":" in str(gateway or "") else "0.0.0.0/0"
    if link is None:
        left.append(f"{key}: its interface is not among these; it is left out")
        return
    route = {"to": str(to), "via": gateway, "metric": value.get("metric")}
    link.setdefault("routes", []).append({word: given for word, given in route.items() if given})


def _toml(name: str, link: Mapping[str, Any]) -> str:
    header = f'[link."{name}"]' if "." in name else f"[link.{name}]"
    return "\n".join([header, *(f"{key} = {_value(value)}" for key, value in link.items())]) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_value(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value)
