"""What every datapath that joins a pair has to do, as checks on a kernel that takes nothing for granted.

Each check takes a datapath and fails by AssertionError. What is so is read off the toy kernel's devices and never asked
of the datapath, so that one that lies is found out. A new datapath has to pass them all; see test_datapaths_contract.
"""

from __future__ import annotations

import errno
import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from toykernel import MAC, ToyKernel

from failoverd.config.spec import Config
from failoverd.datapaths.base import Datapath
from failoverd.kinds import Bond
from failoverd.model.links import Link
from failoverd.model.requests import Request

ROUNDS = 8
"""More often than any datapath may have to be asked until it has what it wants."""


@dataclass
class Bench:
    """A NIC and a VF on a toy kernel, and the master a datapath makes of them."""

    datapath: Datapath
    vf_up: bool = False
    others: bool = False
    kernel: ToyKernel = field(default_factory=ToyKernel)
    nic: int = 0
    vf: int = 0
    master: int = 0
    asked: int = 0
    before: dict[int, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.nic = self.kernel.plug("ens3", "virtio", up=True)
        self.vf = self.kernel.plug("ens4", "pci", up=self.vf_up)
        if self.others:
            self.kernel.filter_by_others(self.nic, "ingress")
            self.kernel.filter_by_others(self.vf, "egress")
        self.before = self.traces()
        self.do(self.datapath.create(MAC, self.link(self.nic), Config()))
        self.master = max(self.kernel.links) if self.datapath.shape == "moving" else self.nic

    def link(self, ifindex: int) -> Link:
        return self.kernel.links[ifindex]

    def do(self, requests: Iterable[Request]) -> None:
        """None of them may be refused."""
        wanted = tuple(requests)
        answers = self.kernel.do(wanted)
        assert {number for number, _ in answers} <= {0}, list(zip(wanted, answers, strict=True))

    def ask(self, requests: Iterable[Request]) -> None:
        """They may be refused, as may happen to any."""
        self.asked += 1
        self.kernel.do(tuple(requests))

    def refuse(self, victim: int, and_the_rest: bool) -> list[Request]:
        """From now on refuse the request with this number, or all that was asked for with it and stands behind it.

        Returns the list in which the first one refused will be."""
        numbers, at, found = itertools.count(), [0], list[Request]()

        def no(request: Request) -> int:
            if next(numbers) == victim:
                at[0] = self.asked
                found.append(request)
                return errno.EBUSY
            return errno.EBUSY if and_the_rest and found and at[0] == self.asked else 0

        self.kernel.refuse = no
        return found

    def attach(self, slave: int) -> tuple[Request, ...]:
        return tuple(self.datapath.attach(self.link(slave), self.link(self.master)))

    def mend(self) -> tuple[Request, ...]:
        found = self.datapath.mend(self.link(self.master), self.link(self.vf), self.link(self.nic), Config())
        return tuple(found)

    def holds(self, slave: int) -> bool:
        return self.datapath.holds(self.link(slave), self.link(self.master))

    def join(self, *slaves: int) -> None:
        """As the planner goes about it: attach until it is held (one that is down then is set up by core.strays), then
        mend until there is nothing to mend."""
        for slave in slaves or (self.vf, self.nic):
            for _ in range(ROUNDS):
                if not (requests := self.attach(slave)):
                    break
                self.ask(requests)
            else:
                raise AssertionError("there is always something to attach")
            assert self.holds(slave), "the slave is never held"
        for _ in range(ROUNDS):
            if not (requests := self.mend()):
                return
            self.ask(requests)
        raise AssertionError("there is always something to mend")

    def switch(self, slave: int) -> None:
        self.do(self.datapath.switch(self.link(self.master), slave))

    def leaving(self) -> list[tuple[Request, ...]]:
        """What a release asks for, in its order: the master's part, and then the slaves'. Where the NIC is the master,
        it is nobody's slave."""
        found = [tuple(self.datapath.remove(self.link(self.master)))] if self.master in self.kernel.links else []
        slaves = (self.vf,) if self.datapath.shape == "in place" else (self.vf, self.nic)
        return found + [tuple(self.datapath.detach(self.link(slave))) for slave in slaves]

    def leave(self) -> None:
        for _ in range(ROUNDS):
            requests = [request for part in self.leaving() for request in part]
            if not requests:
                return
            self.ask(requests)
        raise AssertionError("the release never comes to an end")

    # What is so, as the kernel has it

    def hears(self, slave: int) -> bool:
        """Whether the master receives what this slave receives."""
        link = self.link(slave)
        leads = any(f.ours and f.hook == "ingress" and f.redirect == self.master for f in link.tc.filters)
        return link.up and (slave == self.master or link.master == self.master or leads)

    def sends_by(self) -> int:
        """Which slave sends what the master sends."""
        master = self.link(self.master)
        if isinstance(master.info, Bond):
            return master.info.active
        leads = [f.redirect for f in master.tc.filters if f.ours and f.hook == "egress"]
        return leads[0] if leads else master.ifindex

    def active(self) -> int:
        return self.datapath.active(self.link(self.master), self.link(self.vf), self.link(self.nic))

    def traces(self) -> dict[int, object]:
        """Everything about the devices but whether they are up."""
        return {
            i: (x.name, x.mac, x.mtu, x.master, x.tc, x.all_multicast, x.link_local, x.altnames)
            for i, x in self.kernel.links.items()
        }


def makes_a_master(datapath: Datapath) -> None:
    """Down, with the NIC's MTU and the pair's MAC, and nobody in it; or none, where the NIC is one already."""
    bench = Bench(datapath)
    before = len(ToyKernel().links) + 2
    master = bench.link(bench.master)
    if datapath.shape == "in place":
        assert len(bench.kernel.links) == before
        return
    assert len(bench.kernel.links) == before + 1
    assert (master.up, master.mtu, master.mac) == (False, bench.link(bench.nic).mtu, MAC)
    assert not any(link.master for link in bench.kernel.links.values())


def finds_nothing_wrong_with_a_plain_pair(datapath: Datapath) -> None:
    bench = Bench(datapath)
    bench.join()
    master, vf, nic = bench.link(bench.master), bench.link(bench.vf), bench.link(bench.nic)
    assert datapath.flaws(master, vf, nic) == ""
    assert datapath.conflict(vf, master) == ""
    assert datapath.mtu_mismatch(vf, master) == ""
    assert bench.mend() == ()


def joins_both(datapath: Datapath) -> None:
    """Afterwards the VF is up, what it receives reaches the master, and a stranger is not taken for one of the pair."""
    for vf_up in (False, True):
        bench = Bench(datapath, vf_up)
        assert not bench.holds(bench.vf)
        bench.join()
        assert bench.hears(bench.vf)
        assert bench.hears(bench.nic)
        assert not bench.holds(bench.kernel.plug("ens9", "pci"))


def joins_again_without_a_change(datapath: Datapath) -> None:
    bench = Bench(datapath)
    bench.join()
    before = dict(bench.kernel.links)
    for slave in (bench.vf, bench.nic):
        bench.kernel.do(bench.attach(slave))
    assert bench.kernel.links == before


def troubled(begin: Callable[[], Bench], go: Callable[[Bench], None]) -> Iterator[tuple[Bench, list[Request]]]:
    """The same, with every single request refused in turn, alone and with what was asked for behind it."""
    for and_the_rest in (False, True):
        for victim in itertools.count():
            bench = begin()
            refused = bench.refuse(victim, and_the_rest)
            go(bench)
            if not refused:
                break
            yield bench, refused


def completes_a_join_that_was_disturbed(datapath: Datapath) -> None:
    """The kernel works through the rest of a datagram where one request is refused; where we die, none of the rest is
    ever sent. Asked again, the datapath comes to the same end."""

    def go(bench: Bench) -> None:
        bench.join()
        bench.kernel.refuse = lambda _request: 0
        bench.switch(bench.vf)

    wanted = Bench(datapath)
    go(wanted)
    for bench, refused in troubled(lambda: Bench(datapath), go):
        assert bench.kernel.links == wanted.kernel.links, f"without {refused}"


def switches_there_and_back(datapath: Datapath) -> None:
    bench = Bench(datapath)
    bench.join()
    for slave in (bench.nic, bench.vf, bench.nic, bench.vf):
        bench.switch(slave)
        assert bench.sends_by() == slave
        before = dict(bench.kernel.links)
        bench.switch(slave)
        assert bench.kernel.links == before


def says_who_carries(datapath: Datapath) -> None:
    bench = Bench(datapath)
    bench.join()
    assert bench.active() == bench.sends_by()
    for slave in (bench.vf, bench.nic, bench.vf):
        bench.switch(slave)
        assert bench.active() == slave


def lets_go(datapath: Datapath) -> None:
    """The VF is down afterwards, and to ask again is to ask for nothing."""
    bench = Bench(datapath)
    bench.join()
    bench.switch(bench.nic)
    for _ in range(ROUNDS):
        bench.do(datapath.detach(bench.link(bench.vf)))
    assert not bench.holds(bench.vf)
    assert not bench.hears(bench.vf)
    assert not bench.link(bench.vf).up
    assert not datapath.detach(bench.link(bench.vf))
    bench.join()
    assert bench.hears(bench.vf)


def leaves_nothing(datapath: Datapath) -> None:
    """Whoever carried, and what is others' stays."""
    for carries_by_vf in (True, False):
        for others in (False, True):
            bench = Bench(datapath, others=others)
            bench.join()
            for slave in (bench.nic, bench.vf) if carries_by_vf else (bench.vf, bench.nic):
                bench.switch(slave)
            bench.leave()
            assert bench.traces() == bench.before
            assert not bench.link(bench.vf).up
            assert datapath.shape == "moving" or bench.link(bench.nic).up


def completes_a_release_that_was_disturbed(datapath: Datapath) -> None:
    """As a join."""

    def joined() -> Bench:
        bench = Bench(datapath)
        bench.join()
        bench.switch(bench.vf)
        return bench

    for bench, refused in troubled(joined, Bench.leave):
        assert bench.traces() == bench.before, f"without {refused}"
        assert not bench.link(bench.vf).up, f"without {refused}"


CHECKS: dict[str, Callable[[Datapath], None]] = {
    check.__name__: check
    for check in (
        makes_a_master,
        finds_nothing_wrong_with_a_plain_pair,
        joins_both,
        joins_again_without_a_change,
        completes_a_join_that_was_disturbed,
        switches_there_and_back,
        says_who_carries,
        lets_go,
        leaves_nothing,
        completes_a_release_that_was_disturbed,
    )
}
