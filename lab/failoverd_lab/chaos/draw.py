"""Turn a seed into a history: a machine, its configuration and the events. Nothing in it depends on what the events
cause.

Each history favours some kinds of events and leaves others out, so that some of them meet often (swarm testing).
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from failoverd_lab.chaos.catalogue import (
    ADDRESSES,
    CALLS,
    ERRNOS,
    GUESTS,
    MACS,
    NAMES,
    REFUSABLE,
    ROUTES,
    RUDE,
    WEIGHTS,
)

Event = dict[str, Any]
"""An event: `op` names it, `p` is the pair's number, `dt` the seconds until the next one; the rest is in events.py."""

PAUSES = (0.0, 0.0, 0.0, 0.001, 0.01, 0.05, 0.1, 0.3, 1.2, 2.5, 6.0, 15.0)
"""Seconds between two events."""


@dataclass(frozen=True, slots=True)
class Setup:
    """The machine at the start of a history."""

    release: tuple[int, int]
    """The kernel's version."""
    without: tuple[str, ...]
    """Kinds of devices that the kernel does not have."""
    pairs: int
    vf_first: tuple[bool, ...]
    """For each pair, whether its VF is plugged in when the daemon starts."""
    vf_up: tuple[bool, ...]
    vf_address: tuple[bool, ...]
    """For each VF, whether it is up (`vf_up`), and whether it then has an address of its own."""
    begin: float
    """Seconds between the daemon's start and the first event."""
    config: dict[str, Any]
    """The daemon's configuration."""


@dataclass(frozen=True, slots=True)
class History:
    """The history of a seed. `seed` decides all later randomness as well."""

    seed: int
    setup: Setup
    events: tuple[Event, ...]

    def dumps(self) -> str:
        """Return the history as JSON."""
        return json.dumps(asdict(self), indent=1)


def loads(text: str) -> History:
    """Read a history from JSON."""
    raw = json.loads(text)
    setup: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in raw["setup"].items()
    }
    return History(raw["seed"], Setup(**setup), tuple(raw["events"]))


def draw(seed: int, events: int = 50) -> History:
    """Draw the history of a seed."""
    dice = random.Random(seed)  # noqa: S311 (histories, not secrets)
    config = _config(dice)
    setup = _setup(dice, config)
    kinds = _kinds(dice)
    drawn = [_event(dice, dice.choices(list(kinds), list(kinds.values()))[0], config) for _ in range(events)]
    return History(seed, setup, tuple(drawn))


def _config(dice: random.Random) -> dict[str, Any]:
    """Draw a configuration. Waits are short, and so is the queue of the daemon's socket: quiet comes soon, and an
    overrun takes few messages."""
    config: dict[str, Any] = {
        "master": {"datapath": dice.choice(["bond", "bond", "tc", "tc", "auto"])},
        "tc": {"carrier_poll": 0.5},
        "bond": {"miimon": dice.choice([100, 1000, 1000])},
        "join": {"retry": 5, "retry_max": 40},
        "netlink": {"receive_buffer": 65536},
    }
    if dice.random() < 0.5:
        config["master"]["create"] = dice.choice(["always", "paired", "remembered"])
    if dice.random() < 0.2:
        config["failback"] = {"automatic": dice.random() < 0.5, "hold_down": dice.choice([0, 0.5, 3])}
    if dice.random() < 0.35:
        naming: dict[str, Any] = {}
        config["naming"] = naming
        if dice.random() < 0.5:
            naming["master"] = dice.choice(["m{nic}", "{nic}"])
        if dice.random() < 0.5:
            naming["primary"] = dice.choice(["{master}vf", "vf{mac}"])
        if dice.random() < 0.5:
            naming["altnames"] = True
    return config


def _setup(dice: random.Random, config: dict[str, Any]) -> Setup:
    is_auto = config["master"]["datapath"] == "auto"

    def each(chance: float) -> tuple[bool, ...]:
        return tuple(dice.random() < chance for _ in MACS)

    return Setup(
        release=dice.choice([(5, 10), (6, 1), (6, 1), (6, 8)]),
        without=("bond",) if is_auto and dice.random() < 0.4 else (),
        pairs=dice.choice([1, 1, 1, 2, 3]),
        vf_first=each(0.6),
        vf_up=each(0.3),
        vf_address=each(0.4),
        begin=dice.choice([0.0, 0.02, 0.5, 8.0, 8.0]),
        config=config,
    )


def _kinds(dice: random.Random) -> dict[str, float]:
    """Draw the kinds of events in this history, and their weights."""
    always = ("plug", "unplug", "start")
    kinds = {kind: weight for kind, weight in WEIGHTS.items() if kind in always or dice.random() < 0.55}
    if dice.random() < 0.45:
        kinds = {kind: weight for kind, weight in kinds.items() if kind not in RUDE}
    return kinds


def _event(dice: random.Random, kind: str, config: dict[str, Any]) -> Event:
    event: Event = {"op": kind, "p": dice.randrange(len(MACS))}
    more = DRAWN.get(kind)
    if kind == "reload":
        event["config"] = _reconfigured(dice, config)
    elif kind == "ambush":
        event["n"] = dice.randrange(12)
        event["what"] = _event(dice, dice.choice(["unplug", "unplug", "carrier", "admin", "rename", "free"]), config)
    elif more is not None:
        event.update(more(dice))
    event["dt"] = dice.choice(PAUSES)
    return event


def _reconfigured(dice: random.Random, config: dict[str, Any]) -> dict[str, Any]:
    changed: dict[str, Any] = json.loads(json.dumps(config))
    changes: list[tuple[str, str, list[Any]]] = [
        ("master", "datapath", ["bond", "tc", "auto"]),
        ("master", "create", ["always", "paired", "remembered"]),
        ("failback", "automatic", [True, False]),
        ("failback", "hold_down", [0, 1, 5]),
        ("pairing", "ignore", [[], ["ens4"], ["ens3*"], [MACS[1]]]),
        ("naming", "altnames", [True, False]),
        ("naming", "primary", ["{master}vf", "vf{mac}"]),
        ("naming", "master", ["m{nic}", "{nic}"]),
        ("naming", "standby_suffix", ["stby", "nsby"]),
    ]
    for section, key, values in dice.sample(changes, dice.randint(1, 2)):
        changed.setdefault(section, {})[key] = dice.choice(values)
    return changed


def _target(dice: random.Random, *roles: str) -> str:
    return dice.choice(roles or ("nic", "vf", "master"))


def _plugged(dice: random.Random) -> Event:
    event: Event = {"t": dice.choices(["vf", "nic", "vf2"], [7, 3, 1])[0]}
    event |= {"carrier": dice.random() < 0.85, "up": dice.random() < 0.2}
    event |= {"max_mtu": 1500} if dice.random() < 0.1 else {}
    return event | ({"name": dice.choice(["eth%d", "ens3", "ens3vf"])} if dice.random() < 0.1 else {})


def _flapped(dice: random.Random) -> Event:
    period = dice.choice([0.001, 0.02, 0.09, 0.3, 1.1])
    return {"t": _target(dice, "nic", "vf"), "n": dice.randint(1, 8), "period": period}


def _swapped(dice: random.Random) -> Event:
    return {"t": _target(dice), "t2": _target(dice), "p2": dice.randrange(len(MACS))}


def _addressed(dice: random.Random) -> Event:
    event: Event = {"t": _target(dice), "cidr": dice.choice(ADDRESSES)}
    return event | ({"valid": dice.choice([3, 30, 300])} if dice.random() < 0.3 else {})


def _routed(dice: random.Random) -> Event:
    dst, gateway = dice.choice(ROUTES)
    return {"t": _target(dice), "dst": dst, "gw": gateway, "metric": dice.choice([0, 0, 100])}


def _bond_option(dice: random.Random) -> Event:
    options = [("miimon", 0), ("miimon", 100), ("primary", "nic"), ("primary", "vf"), ("primary", 0), ("active", "nic")]
    options += [("active", "vf"), ("active", 0), ("reselect", 0), ("all", 1), ("all", 0), ("peers", 3)]
    option, value = dice.choice(options)
    return {"opt": option, "value": value}


def _filtered(dice: random.Random) -> Event:
    event: Event = {"t": _target(dice), "hook": dice.choice(["in", "out"]), "kind": dice.choice(["bpf", "flower"])}
    return event | {"prio": dice.choice([1, 64023]), "del": dice.random() < 0.3}


def _refused(dice: random.Random) -> Event:
    event: Event = {"for": dice.choice([0.01, 0.1, 1, 5, 20]), "prob": dice.choice([0.1, 0.5, 1.0])}
    event["numbers"] = [dice.choice(ERRNOS)] if dice.random() < 0.5 else list(ERRNOS)
    return event | ({"kinds": [dice.choice(REFUSABLE)]} if dice.random() < 0.5 else {})


def _ordered(dice: random.Random) -> Event:
    event: Event = {"call": dice.choices(list(CALLS), list(CALLS.values()))[0]}
    if event["call"] == "switch":
        event["t"] = _target(dice, "vf", "nic")
    elif event["call"] == "rename":
        event |= {"t": _target(dice), "name": dice.choice(NAMES[:9])}
    elif event["call"] == "drain" and dice.random() < 0.5:
        event["seconds"] = dice.choice(["3", "0", "30"])
    return event


def _for_a_while(dice: random.Random) -> Event:
    return {"for": dice.choice([0.1, 1, 8, 20])}


DRAWN: dict[str, Callable[[random.Random], Event]] = {
    "plug": _plugged,
    "unplug": lambda dice: {"t": dice.choices(["vf", "nic", "vf2"], [7, 3, 1])[0]},
    "carrier": lambda dice: {"t": _target(dice, "nic", "vf", "vf"), "on": dice.random() < 0.6},
    "flap": _flapped,
    "admin": lambda dice: {"t": _target(dice), "on": dice.random() < 0.6},
    "bounce": lambda dice: {"t": _target(dice), "gap": dice.choice([0, 0, 0.01, 0.5])},
    "rename": lambda dice: {"t": _target(dice), "name": dice.choice(NAMES)},
    "swap": _swapped,
    "grab": lambda dice: {"t": _target(dice), "by": dice.choice(["bridge", "bond"])},
    "ungrab": lambda dice: {"t": _target(dice)},
    "compete": lambda dice: {"t": _target(dice, "nic", "vf"), "n": dice.randint(2, 6)},
    "free": lambda dice: {"t": _target(dice, "nic", "vf")},
    "mtu": lambda dice: {"t": _target(dice), "mtu": dice.choice([1000, 1280, 1400, 1500, 4000, 9000])},
    "address": _addressed,
    "no-address": lambda dice: {"t": _target(dice), "which": dice.randrange(8)},
    "route": _routed,
    "no-route": lambda dice: {"t": _target(dice), "which": dice.randrange(8)},
    "bond-option": _bond_option,
    "altname": lambda dice: {"t": _target(dice), "name": dice.choice(GUESTS)},
    "no-altname": lambda dice: {"t": _target(dice), "which": dice.randrange(8)},
    "mac": lambda dice: {"t": _target(dice), "mac": dice.choice(["own", "52:54:00:aa:aa:aa", MACS[1]])},
    "vlan": lambda dice: {"t": _target(dice), "id": dice.choice([5, 7])},
    "qdisc": lambda dice: {"t": _target(dice), "kind": dice.choice(["clsact", "htb", "fq", "del", "del", "no-root"])},
    "filter": _filtered,
    "xdp": lambda dice: {"t": _target(dice), "on": dice.random() < 0.5},
    "refuse": _refused,
    "tiny": lambda dice: {"messages": dice.choice([1, 2, 4, 10]), "for": dice.choice([0.05, 0.5, 5])},
    "late": _for_a_while,
    "reorder": _for_a_while,
    "dumps": _for_a_while,
    "disk": lambda dice: _for_a_while(dice) | {"error": dice.choice(["ENOSPC", "EROFS"])},
    "unsendable": _for_a_while,
    "unheard": _for_a_while,
    "udev-slow": _for_a_while,
    "kill-in": lambda dice: {"n": dice.randrange(14)},
    "jump": lambda dice: {"by": dice.choice([0.5, 3.1, 30, 90])},
    "suspend": lambda dice: {"by": dice.choice([0.5, 30, 90]), "vf": dice.choice(["gone", "back", "carrier"])},
    "no-bond": lambda dice: {"on": dice.random() < 0.6},
    "order": _ordered,
}
"""The further keys to draw for an event, by its kind."""
