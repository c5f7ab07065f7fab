"""A scenario: what NICs there are, what happens when, what must be seen. The nouns only; `parse` reads the files.

A story is one ordered list, told item by item: an item begins when the one before it has ended. The first
sketch had absolute times instead ("at 2.0 unplug, by 3.5 see"). That reads well for a simulated kernel, but a
real guest without KVM needs one to three seconds to notice a hot-plug, and every time in the file would have
had to be stretched to the slowest machine. In order, a quick world tells the story quickly, a slow one slowly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

DATAPATHS = ("bond", "tc", "net_failover")
"""How the pairs of a story can be joined."""

Direction = Literal["to-guest", "from-guest"]
DIRECTIONS: tuple[Direction, Direction] = ("to-guest", "from-guest")


@dataclass(frozen=True, slots=True)
class Nic:
    """A NIC the world offers the guest. `id` is the story's word for it, `name` what the guest calls it first.

    `bus` "virtio" makes a paravirtual NIC, "pci" a VF. `plugged` says whether it is there at the start,
    `max_mtu` (bytes) what its driver accepts at most. A world that cannot choose a name ("vm": udev does)
    leaves `name` aside.
    """

    id: str
    bus: Literal["virtio", "pci"]
    mac: str
    name: str = ""
    plugged: bool = True
    max_mtu: int = 9190


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that is done, `wait` seconds after the item before has ended. `args` are the action's own keys.

    `called` is the name by which a later `Heard` may count from here, "" for none.
    """

    do: str
    args: Mapping[str, Any] = field(default_factory=dict)
    wait: float = 0.0
    called: str = ""
    line: int = 0

    def __str__(self) -> str:
        """The step in a few words, for marks and error texts: `unplug vf`, `carrier vf down`, `mtu master 9500`."""
        flags = {("up", True): "up", ("up", False): "down", ("present", True): "added", ("present", False): "removed"}
        return " ".join([self.do, *(flags.get((key, value), str(value)) for key, value in self.args.items())])


@dataclass(frozen=True, slots=True)
class See:
    """A state that must come about: asked until all of `what` holds at once, for `within` seconds at most."""

    what: Mapping[str, Any]
    within: float = 5.0
    wait: float = 0.0
    line: int = 0


@dataclass(frozen=True, slots=True)
class Heard:
    """What the recording must hold, from `since` to the end of this item's `wait`.

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

    `datapaths` are those it can be told with, all where it is empty. `datapath` is the one it is told with, "" to leave
    that to the daemon; the file does not say it.
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
        """The same story, its pairs joined by this datapath; "net_failover" is the hypervisor's to offer."""
        if datapath in ("bond", "tc"):
            config = {**self.config, "master": {**self.config.get("master", {}), "datapath": datapath}}
            return replace(self, config=config, datapath=datapath)
        return replace(self, datapath=datapath)

    @property
    def length(self) -> float:
        """The longest the story can take, in seconds, beside the time the world needs for the steps themselves."""
        return sum(item.wait + (item.within if isinstance(item, See) else 0.0) for item in self.then)
