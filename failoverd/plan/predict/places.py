"""Several network namespaces: a machine each, and what a request in one of them does in another.

A veth may be made with its far end elsewhere, goes with its other end, and a device may be moved. As each namespace
numbers the others in its own way, the other end of a veth is found by what each end says of the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from failoverd.kinds import Place, Veth, VethPair
from failoverd.links.addresses import PROTOCOL
from failoverd.links.findings import Answers, Batch
from failoverd.links.picture import Device, Interest, Picture
from failoverd.model.links import Link
from failoverd.model.pairs import Inet
from failoverd.model.requests import CreateLink, MoveLink, Request
from failoverd.plan.predict import predict
from failoverd.plan.predict.addresses import come_up
from failoverd.plan.predict.machine import Machine, machine_of

LO = Link(1, "lo", hardware=772, up=True)
"""The one device of a new namespace (ARPHRD_LOOPBACK)."""


def done(_request: Request) -> int:
    """Refuse no request beyond what is predicted."""
    return 0


class Places:
    """See the module. `machines` are the namespaces that there are."""

    def __init__(self, live_renames: bool = True) -> None:
        self._live = live_renames
        self.machines: dict[Place, Machine] = {}

    def add(self, place: Place, picture: Picture) -> Machine:
        """Add a namespace as it was seen."""
        inet = {device.link.ifindex: Inet(device.addresses, device.routes) for device in picture}
        machine = machine_of([device.link for device in picture], inet, self._live)
        machine.place = place
        # Unlike a wire's, the carrier of a veth follows from its ends.
        veths = [ifindex for ifindex, link in machine.links.items() if isinstance(link.info, Veth)]
        machine.wires = {ifindex: up for ifindex, up in machine.wires.items() if ifindex not in veths}
        for ifindex in [ifindex for ifindex, link in machine.links.items() if link.up]:
            # A look has none of the kernel's own routes, which gateways need.
            come_up(machine, ifindex)
        machine.news.clear()
        self.machines[place] = machine
        return machine

    def end(self, place: Place) -> None:
        """End a namespace: its devices go, and with the ends of veths the other ends."""
        machine = self.machines.pop(place)
        for link in machine.links.values():
            self._lose_other_end(link)

    def look(self, place: Place, interest: Interest) -> Picture | None:
        """Return what a look at a namespace shows; None for one that is not there."""
        machine = self.machines.get(place)
        return None if machine is None else Picture(_of_interest(machine, interest))

    def name(self, place: Place, ifindex: int) -> str:
        """Return what a device is called."""
        found = self.machines[place].links.get(ifindex)
        return found.name if found is not None else f"device {ifindex}"

    def make(self, batch: Batch, refuse: Callable[[Request], int] = done) -> Answers:
        """Do what the kernel would do with a batch, and return its answers. `refuse` is asked before each request, for
        an errno."""
        machine = self.machines.get(batch.place)
        if machine is None or (batch.makes and batch.also is not None and batch.also not in self.machines):
            return None
        return tuple((refuse(request) or self._done(machine, batch, request), "") for request in batch.requests)

    def _done(self, machine: Machine, batch: Batch, request: Request) -> int:
        far = self.machines.get(batch.also or batch.place, machine)
        if isinstance(request, MoveLink):
            return _moved(machine, far, request)
        before = dict(machine.links)
        number = predict(machine, request)
        if isinstance(request, CreateLink) and isinstance(request.info, VethPair) and far is not machine and not number:
            # Without a place, the device would be one of the far namespace there.
            there = replace(request, device=replace(request.device, place=machine.place))
            if number := predict(far, there):
                machine.forget(request.device.ifindex)
        for ifindex, link in before.items():
            if ifindex not in machine.links:
                self._lose_other_end(link)
        return number

    def _lose_other_end(self, link: Link) -> None:
        """A veth goes with its other end. One in the same namespace is gone already."""
        if not isinstance(link.info, Veth) or link.info.nsid is None:
            return
        for machine in self.machines.values():
            other = machine.links.get(link.info.peer)
            if other is not None and isinstance(other.info, Veth) and other.info.peer == link.ifindex:
                machine.forget(other.ifindex)


def _moved(machine: Machine, far: Machine, request: MoveLink) -> int:
    link = machine.links.get(request.ifindex)
    number = predict(machine, request)
    if link is not None and not number and far is not machine:
        far.put(replace(link, name=request.name, up=False, link=0, ifindex=request.new_ifindex or link.ifindex))
    return number


def new_namespace() -> Picture:
    """Return what a namespace shows that has just been made."""
    return Picture([Device(LO)])


def _of_interest(machine: Machine, interest: Interest) -> Iterator[Device]:
    for link in machine.links.values():
        is_marked = any(name.startswith(interest.prefix) for name in link.altnames)
        if is_marked or link.name in interest.names or link.ifindex in interest.ifindexes:
            inet = machine.inet_of(link.ifindex)
            routes = tuple(route for route in inet.routes if route.protocol == PROTOCOL)
            yield Device(link, inet.addresses, routes)
