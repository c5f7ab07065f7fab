"""What is told of this machine in etcd: of each link, of each failover master, and of the machine itself. Pure.

Below PREFIX/status/NODE/ are `node`, `links/LINK` and `masters/MASTER`, each an object of JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from failoverd_etcd.picture import Picture

LINK = ("state", "reason", "detail", "since", "kind", "device", "namespace")
MASTER = ("state", "reason", "conditions", "mac", "datapath", "drained", "failovers")
LAST = ("from", "to", "to_role", "reason", "silence_seconds")
"""What is told of the last failover."""

Row = Mapping[str, Any]


def told(
    status: Mapping[str, Any] | None, links: Sequence[Row], picture: Picture, booted: float
) -> dict[str, dict[str, Any]]:
    """Return what is to be told, by what is behind the machine's own part of the key.

    `status` is the daemon's status document, None if it does not answer; `links` are its rows of links. `booted` is
    where CLOCK_MONOTONIC began, in seconds since the epoch.
    """
    found: dict[str, dict[str, Any]] = {}
    for row in links:
        name = str(row["name"])
        found[f"links/{name}"] = {key: row[key] for key in LINK if key in row} | _of_etcd(row, picture)
    masters = status.get("masters", []) if status is not None else []
    for master in masters:
        found[f"masters/{master['name']}"] = _master(master, booted)
    states = [str(row["state"]) for row in links]
    found["node"] = {
        "daemon": "running" if status is not None else "silent",
        "version": status.get("version", "") if status is not None else "",
        "revision": max((version.modified for version in picture.history.keys.values()), default=0),
        "links": {state: states.count(state) for state in sorted(set(states))},
        "masters": {state: _states(masters).count(state) for state in sorted(set(_states(masters)))},
    }
    return found


def _states(masters: Sequence[Row]) -> list[str]:
    return [str(master["state"]) for master in masters]


def _of_etcd(row: Row, picture: Picture) -> dict[str, Any]:
    """Return what is told of a link as etcd declares it: the revision that is in force; that a file wins over it."""
    name = str(row["name"])
    good = picture.values.good.get(name) or picture.values.good.get(name.removesuffix(".peer"))
    if row.get("shadows"):
        return {"state": "shadowed", "reason": "", "detail": f"{row['source']} declares it, too, and wins"}
    is_etcds = str(row.get("source", "")).startswith("etcd:")
    return {"revision": good.revision if good is not None and is_etcds else 0}


def _master(master: Row, booted: float) -> dict[str, Any]:
    roles = {(master.get(role) or {}).get("name"): role for role in ("primary", "standby")}
    active = master.get("active")
    last = master.get("last_failover")
    if last is not None:
        at = {"time": round(booted + last["monotonic"], 3)} if "monotonic" in last else {}
        last = {key: last[key] for key in LAST if key in last} | at
    return {
        **{key: master[key] for key in MASTER if key in master},
        "active": active,
        "role": roles.get(active) if active else None,
        "last_failover": last,
    }


def changes(known: Mapping[str, str], wanted: Mapping[str, Mapping[str, Any]]) -> dict[str, str | None]:
    """Return what has to be written to come from what is there to what is wanted; None deletes."""
    texts = {key: json.dumps(value, separators=(",", ":"), sort_keys=True) for key, value in wanted.items()}
    written: dict[str, str | None] = {key: text for key, text in texts.items() if known.get(key) != text}
    return written | dict.fromkeys(known.keys() - texts.keys())
