"""What machines have written of themselves, by machine, and as the rows of a table. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

HEAD = ["NODE", "MASTER", "STATE", "ACTIVE", "LINKS", "VERSION", "LAST FAILOVER"]
STATE = 2
"""The column of the state."""
ON_STANDBY = frozenset({"on-standby", "joining", "releasing", "alone", "away"})

Node = dict[str, Any]


def nodes_of(there: Mapping[str, bytes]) -> list[Node]:
    """Return the machines in the order of their names. `there` has keys from the node's name on; what is no JSON, or
    none of ours, is left out."""
    found: dict[str, Node] = {}
    for key, value in sorted(there.items()):
        name, _, rest = key.partition("/")
        kind, _, what = rest.partition("/")
        try:
            body = json.loads(value)
        except (ValueError, RecursionError):
            continue
        if not isinstance(body, dict) or kind not in ("node", "links", "masters"):
            continue
        node = found.setdefault(name, {"node": name, "daemon": "", "version": "", "masters": [], "links": []})
        if kind == "node":
            node |= {one: body.get(one, "") for one in ("daemon", "version", "revision")}
        else:
            node[kind].append({"name": what, **body})
    return list(found.values())


def rows_of(nodes: Sequence[Node], now: float | None) -> list[list[str]]:
    """Return a row for each master, and one for a machine without. `now` is in seconds since the epoch; None leaves the
    times out of it, which change by themselves."""
    rows = []
    for node in nodes:
        ready = sum(link.get("state") in ("ready", "shadowed") for link in node["links"])
        links = f"{ready}/{len(node['links'])}" if node["links"] else "-"
        masters = node["masters"] or [{"name": "-", "state": "-"}]
        for master in masters:
            state = str(master.get("state", "")) if node["daemon"] != "silent" else "silent"
            active = f"{master.get('active') or '-'}{_role(master)}"
            last = _last(master.get("last_failover"), now)
            rows.append([node["node"], str(master["name"]), state, active, links, str(node["version"]) or "-", last])
    return rows


def _role(master: Mapping[str, Any]) -> str:
    return f" ({master['role']})" if master.get("role") else ""


def _last(last: Any, now: float | None) -> str:
    if not isinstance(last, dict):
        return "-"
    at = last.get("time")
    ago = f"{_span(now - at)} ago, " if now is not None and isinstance(at, int | float) else ""
    return f"{ago}{last.get('reason', '')}"


def _span(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def worst(nodes: Sequence[Node]) -> str:
    """Return the worst there is: "degraded", "standby", "fine", or "none" where nobody tells of a master."""
    if any(node["daemon"] == "silent" for node in nodes):
        return "degraded"
    states = [str(master.get("state", "")) for node in nodes for master in node["masters"]]
    if not states:
        return "none"
    if any(state not in {"accelerated", "released", *ON_STANDBY} for state in states):
        return "degraded"
    return "standby" if any(state in ON_STANDBY for state in states) else "fine"
