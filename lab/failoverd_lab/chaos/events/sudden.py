"""Events that take no time, and so can happen between two messages of the daemon's."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

from failoverd_lab.chaos.draw import Event
from failoverd_lab.chaos.events import bonds, host, inet, others
from failoverd_lab.chaos.events.base import done
from failoverd_lab.chaos.machine import ChaosMachine
from failoverd_lab.simkernel import Refused

SUDDEN: dict[str, Callable[..., None]] = {
    "plug": host.plug,
    "unplug": host.unplug,
    "carrier": host.carrier,
    "admin": others.admin,
    "rename": others.rename,
    "swap": others.swap,
    "grab": others.grab,
    "ungrab": others.ungrab,
    "free": others.free,
    "mtu": others.mtu,
    "mac": others.mac,
    "address": inet.address,
    "no-address": inet.no_address,
    "route": inet.route,
    "no-route": inet.no_route,
    "altname": others.altname,
    "no-altname": others.no_altname,
    "bond-option": bonds.bond_option,
    "foreign-option": bonds.foreign_option,
    "no-master": bonds.no_master,
    "vlan": others.vlan,
    "no-vlan": others.no_vlan,
    "qdisc": others.qdisc,
    "filter": others.filter_,
    "xdp": others.xdp,
}


def happen_now(chaos: ChaosMachine, event: Event) -> None:
    """Let an event that takes no time happen between two of the daemon's messages."""
    chaos.say(f"AMBUSH {event}")
    pair = chaos.pairs[event["p"] % len(chaos.pairs)]
    try:
        done(chaos, SUDDEN[event["op"]], pair, **arguments(event))
    except Refused as refused:
        chaos.say(f"  refused: {errno.errorcode.get(refused.code, refused.code)} {refused.text}")


def arguments(event: Event) -> dict[str, Any]:
    """Return an event's arguments as its function takes them: `for`, `del` and `call` are not valid names, or taken."""
    names = {"for": "seconds", "del": "off"}
    return {names.get(key, key): value for key, value in event.items() if key not in ("op", "p", "dt")}
