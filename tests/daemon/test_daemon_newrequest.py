"""What a further kind of request costs: its class, its writer and its prediction, and nothing else.

The class is made here, and a datapath asks for it; nothing of the product knows of it.
"""

from __future__ import annotations

import errno
import logging
from dataclasses import replace
from typing import ClassVar

import pytest
from pairdriver import Driver
from test_daemon_dryrun import plan
from test_daemon_engine import FIRST, Machine, joined, on_a_machine
from toykernel import ToyKernel

from failoverd.config.spec import Config, Master
from failoverd.dataclass import dataclass
from failoverd.datapaths.bond import BondDatapath
from failoverd.model.links import Link
from failoverd.model.requests import NameOf, OfDevice, Request
from failoverd.netlink.frames import build
from failoverd.netlink.links import IFF_ALLMULTI, INFO
from failoverd.netlink.requests import RTM_SETLINK, WRITERS
from failoverd.plan.predict import PREDICTIONS
from failoverd.plan.predict.machine import Machine as Predicted

NLM_F_ACK = 4


@dataclass(frozen=True, slots=True)
class Listen(OfDevice):
    """The class. It changes what a Link tells already, or that would have to be read, too."""

    harmless: ClassVar = frozenset({errno.EEXIST})

    def describe(self, name_of: NameOf) -> str:
        return f"let {name_of(self.ifindex)} listen"


def write(request: Listen, seq: int) -> bytes:
    """The writer."""
    return build(RTM_SETLINK, NLM_F_ACK, seq, INFO.pack(0, 0, request.ifindex, IFF_ALLMULTI, IFF_ALLMULTI))


def listens(machine: Predicted, request: Listen) -> None:
    """The prediction."""
    machine.put(replace(machine.link(request.ifindex), all_multicast=True))


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(WRITERS, Listen, write)
    monkeypatch.setitem(PREDICTIONS, Listen, listens)

    attach = BondDatapath.attach

    def attach_and_listen(self: BondDatapath, slave: Link, master: Link) -> list[Request]:
        return [*attach(self, slave, master), *([] if master.all_multicast else [Listen(master.ifindex)])]

    monkeypatch.setattr(BondDatapath, "attach", attach_and_listen)


def test_the_kernel_is_asked_for_it_and_the_log_and_a_dry_run_say_so(caplog: pytest.LogCaptureFixture) -> None:
    async def body(machine: Machine) -> None:
        caplog.set_level(logging.DEBUG, "failoverd")
        said = await plan(machine, machine.store)
        assert "  let fo525400000001 listen" in said
        await machine.until(joined(FIRST))
        await machine.until(lambda state: any(link.all_multicast for link in state.links.values() if link.kind))
        assert f"{FIRST}:   let fo525400000001 listen" in caplog.messages

    on_a_machine(body)


@pytest.mark.parametrize(("number", "is_said"), [(errno.EIO, True), (errno.EEXIST, False)])
def test_a_refusal_is_said_in_its_words_and_it_is_tried_again(number: int, is_said: bool) -> None:
    noes = [number]
    kernel = ToyKernel(refuse=lambda request: noes.pop() if noes and isinstance(request, Listen) else 0)
    kernel.plug("ens3", "virtio", up=True)
    kernel.plug("ens4", "pci")
    driver = Driver(kernel, Config(master=Master(create="always", datapath="bond")))
    driver.settle()
    said = f"let fo525400fa1101 listen failed: {errno.errorcode[number]}; "
    assert any(line.startswith(said) and "; trying again in" in line for line in driver.said) == is_said
    assert [link.all_multicast for link in kernel.links.values() if link.kind] == [True]
    assert sum(isinstance(request, Listen) for batch in driver.sent for request in batch) == 2
