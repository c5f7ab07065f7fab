"""The thread that reads what configures a NIC: nobody but the pair that is asked for waits for it."""

from __future__ import annotations

import threading

import pytest
import trio
import trio.testing

from failoverd.daemon.reading import Reading
from failoverd.model.links import Link

NIC = Link(2, "ens3")
OTHER = Link(3, "ens4")


def test_it_says_what_was_found_out() -> None:
    assert trio.run(Reading(lambda nic, name: f"{nic.name} as {name}").ask, NIC, "lan0") == "ens3 as lan0"


def test_it_raises_what_was_raised() -> None:
    def broken(_nic: Link, _name: str) -> str:
        raise KeyError("x")

    with pytest.raises(KeyError):
        trio.run(Reading(broken).ask, NIC, "ens3")


def test_a_disk_that_hangs_holds_up_neither_the_loop_nor_the_end() -> None:
    answer, begun = threading.Event(), list[str]()

    def hanging(nic: Link, _name: str) -> str:
        begun.append(nic.name)
        answer.wait(60)
        return ""

    async def main() -> None:
        reading = Reading(hanging)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(reading.ask, NIC, "ens3")
            while not begun:
                await trio.sleep(0.01)
            nursery.start_soon(reading.ask, OTHER, "ens4")
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()

    try:
        trio.run(main)
        assert not answer.is_set(), "nothing has waited for it"
        assert begun == ["ens3"], "one question at a time"
    finally:
        answer.set()
