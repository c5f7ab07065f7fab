"""A scenario: its NICs, its steps and its expectations. Only the types are here; `parse` reads the files.

A story is one ordered list, run item by item: an item begins when the one before it has ended. Rejected: absolute times
("at 2.0 unplug, by 3.5 see"). They read well for a simulated kernel, but a real guest without KVM needs one to three
seconds to notice a hot-plug, and every time in the file would have had to be stretched to the slowest machine. With an
order, a quick world runs the story quickly, a slow one slowly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

DATAPATHS = ("bond", "tc", "net_failover", "hv_netvsc")
"""The datapaths by which a story's pairs can be joined."""

Direction = Literal["to-guest", "from-guest"]
DIRECTIONS: tuple[Direction, Direction] = ("to-guest", "from-guest")


@dataclass(frozen=True, slots=True)
class Nic:
    """A NIC that the world offers the guest. `id` is the story's name for it, `name` the guest's first one.

    `bus` "virtio" makes a paravirtual NIC, "pci" a VF. `plugged` says whether it is there at the start, `max_mtu`
    (bytes) what its driver accepts at most. A world that cannot choose a name ("vm": udev does) ignores `name`.
    """

    id: str
    bus: Literal["virtio", "pci"]
    mac: str
    name: str = ""
    plugged: bool = True
    max_mtu: int = 9190


@dataclass(frozen=True, slots=True)
class Step:
    """One action, `wait` seconds after the item before has ended. `args` are the action's own keys.

    `called` is the name by which a later `Heard` may refer to this moment, "" for none.
    """

    do: str
    args: Mapping[str, Any] = field(default_factory=dict)
    wait: float = 0.0
    called: str = ""
    line: int = 0

    def __str__(self) -> str:
        """The step in a few words, for marks and error texts: `unplug vf`, `carrier vf down`, `configure link.web`."""
        flags = {("up", True): "up", ("up", False): "down", ("present", True): "added", ("present", False): "removed"}

        def word(key: str, value: Any) -> str:
            return _keys(value) if isinstance(value, Mapping) else flags.get((key, value), str(value))

        return " ".join([self.do, *(word(key, value) for key, value in self.args.items())])


@dataclass(frozen=True, slots=True)
class See:
    """A state that has to come about: checked until all of `what` holds at once, for `within` seconds at most."""

    what: Mapping[str, Any]
    within: float = 5.0
    wait: float = 0.0
    line: int = 0


@dataclass(frozen=True, slots=True)
class Heard:
    """An expectation of the recording, from `since` to the end of this item's `wait`.

    `since` is "step" (the last step before), "start" (of the story) or what a step is `called`.
    """

    what: Mapping[str, Any]
    since: str = "step"
    wait: float = 0.0
    line: int = 0


Item = Step | See | Heard


@dataclass(frozen=True, slots=True)
class Scenario:
    """One story, as read from one file. `rate` is probes a second each way.

    `datapaths` are those that it supports, all where it is empty. `datapath` is the one that it runs with, "" to leave
    that to the daemon; it is not in the file.
    """

    name: str
    story: str
    nics: tuple[Nic, ...]
    then: tuple[Item, ...]
    rate: int = 200
    config: Mapping[str, Any] = field(default_factory=dict)
    file: str = ""
    datapaths: tuple[str, ...] = ()
    datapath: str = ""

    def told_with(self, datapath: str) -> Scenario:
        """Return the same story with its pairs joined by this datapath; "net_failover" and "hv_netvsc" are offered by
        the hypervisor."""
        if datapath in ("bond", "tc"):
            config = {**self.config, "master": {**self.config.get("master", {}), "datapath": datapath}}
            return replace(self, config=config, datapath=datapath)
        return replace(self, datapath=datapath)

    def joined_by(self, usual: str) -> str:
        """Return the datapath that the story runs with; `usual` is the daemon's choice where none is given."""
        chosen = self.datapath or self.config.get("master", {}).get("datapath", "auto")
        return usual if chosen == "auto" else str(chosen)

    @property
    def length(self) -> float:
        """Return the longest time that the story can take, in seconds, beside the time that the world needs for the
        steps."""
        return sum(item.wait + (item.within if isinstance(item, See) else 0.0) for item in self.then)


def overlay(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one table over another, as a drop-in is laid over the file."""
    laid = dict(below)
    for key, value in above.items():
        under = laid.get(key)
        laid[key] = overlay(under, value) if isinstance(under, Mapping) and isinstance(value, Mapping) else value
    return laid


def _keys(config: Mapping[str, Any]) -> str:
    """Return the tables of a configuration: link.web, join."""
    names = {key: [f"{key}.{name}" for name in inner] if key == "link" else [key] for key, inner in config.items()}
    return ", ".join(name for group in names.values() for name in group)
