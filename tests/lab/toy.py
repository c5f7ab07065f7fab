"""A world small enough to be read in one go: a pair with a perfect daemon, an exact clock and no kernel at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import trio

from failoverd_lab.story import DIRECTIONS, Scenario, Step
from failoverd_lab.world import Announcement, CannotTell, Mark, Probe, Recording, Span

GAP = 0.09
"""Seconds of silence after each loss of the active NIC."""


class ToyWorld:
    """Tells plug, unplug, carrier and the daemon's starts and stops; `delay` seconds after each, all is in place."""

    name = "toy"
    poll = 0.05

    def __init__(self, *, delay: float = 0.2, progress: Any = None) -> None:
        self.delay = delay
        self.clock_now = 0.0
        self.stopped = 0
        self.done: list[tuple[float, str]] = []
        self.here: set[str] = set()
        self.down: set[str] = set()
        self.daemon = True
        self.changes: list[tuple[float, str]] = []
        self.outages: list[tuple[float, float]] = []

    def joined_by(self, scenario: Scenario) -> str:
        """See failoverd_lab.world.World."""
        return scenario.joined_by("bond")

    async def start(self, scenario: Scenario, nursery: trio.Nursery) -> None:
        self.scenario = scenario
        self.here = {nic.id for nic in scenario.nics if nic.plugged}
        self.indexes = {nic.id: 2 + number for number, nic in enumerate(scenario.nics)}
        self.first = set(self.here)
        self.changes = [(0.0, self._best())]

    def now(self) -> float:
        return self.clock_now

    async def sleep_until(self, at: float) -> None:
        assert at >= self.clock_now, "time does not run backwards"
        self.clock_now = at

    def _best(self) -> str:
        vfs = [nic.id for nic in self.scenario.nics if nic.bus == "pci" and nic.id in self.here - self.down]
        return vfs[0] if vfs else "pv"

    async def do(self, step: Step) -> None:
        self.done.append((self.clock_now, str(step)))
        nic = step.args.get("nic", "")
        if step.do == "plug":
            self.here.add(nic)
        elif step.do == "unplug":
            self.here.discard(nic)
        elif step.do == "carrier":
            (self.down.discard if step.args["up"] else self.down.add)(nic)
        elif step.do in ("kill-daemon", "start-daemon"):
            self.daemon = step.do == "start-daemon"
        else:
            raise CannotTell(f"a toy world cannot {step.do}")
        before, after = self.changes[-1][1], self._best()
        if before != after:
            self.changes.append((self.clock_now + self.delay, after))
            if before == nic:
                self.outages.append((self.clock_now, self.clock_now + GAP))

    @property
    def active(self) -> str:
        return next(nic for at, nic in reversed(self.changes) if at <= self.clock_now)

    async def links(self) -> Sequence[Mapping[str, Any]]:
        def link(nic: str, name: str, index: int, master: str) -> Mapping[str, Any]:
            addresses = ["fe80::1/64"] if master else ["192.0.2.1/24", "fe80::1/64"]
            return {
                "nic": nic, "name": name, "ifindex": index, "master": master, "mac": self.scenario.nics[0].mac,
                "up": True, "carrier": nic not in self.down, "mtu": 1500, "addresses": addresses,
                "kind": "" if nic else "bond", "altnames": [],
            }  # fmt: skip

        if not self._paired:
            return [link("pv", "ens3", 2, "")]
        nics = [link(nic, nic + "0", self.indexes[nic], "ens3") for nic in sorted(self.here)]
        return [link("", "ens3", 10, ""), *nics]

    async def declared(self) -> Sequence[Mapping[str, Any]]:
        state = "ready" if self._paired else "pending"
        return [{"name": "lan", "state": state, "reason": "" if self._paired else "master-absent"}]

    @property
    def _paired(self) -> bool:
        return len(self.first) > 1 or self.active != "pv"

    async def status(self) -> Mapping[str, Any] | None:
        if not self.daemon:
            return None
        master = {
            "name": "ens3", "ifindex": 10, "mac": self.scenario.nics[0].mac,
            "state": "on-standby" if self.active == "pv" else "accelerated",
            "active": f"{self.active}0", "reason": "", "standby": {"name": "ens3nsby", "ifindex": 2}, "primary": None,
        }  # fmt: skip
        verdict = "paired" if self._paired else "alone"
        nics = [{"ifindex": self.indexes[nic], "verdict": verdict, "reason": "one MAC"} for nic in self.here]
        return {"masters": [master] if self._paired else [], "nics": nics}

    def carrier(self) -> str:
        return self.active

    async def finish(self) -> Recording:
        length = self.clock_now
        times = [number / self.scenario.rate for number in range(int(length * self.scenario.rate))]
        probes = [
            Probe(way, at, None if any(a <= at < b for a, b in self.outages) else at + 0.001)
            for at in times
            for way in DIRECTIONS
        ]
        ends = [*(at for at, _ in self.changes[1:]), length]
        active = [Span("active", at, end, nic) for (at, nic), end in zip(self.changes, ends, strict=True)]
        said = [Announcement(at, nic, "gratuitous ARP") for at, nic in self.changes[1:]]
        marks = [Mark(at, f"active is {nic}") for at, nic in self.changes[1:]]
        return Recording(length, probes, [Span("standby", 0, length, "pv"), *active], marks, said)

    async def stop(self) -> None:
        self.stopped += 1
