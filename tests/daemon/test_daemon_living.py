"""A pair that lives in another network namespace: who carries there, and the orders that it takes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from houseworld import MAC, SOON, House, in_house

from failoverd.core.call_answers import CallError

Body = Callable[[House], Awaitable[None]]


def there(body: Body, failback: dict[str, Any] | None = None) -> None:
    """Run a test in a house whose pair has moved."""

    async def moved(house: House) -> None:
        house.create("web")
        await house.settles("web", "away")
        await body(house)

    in_house(moved, {"ens3": {"namespace": "web"}}, {"failback": {"hold_down": 3.0, **(failback or {})}})


async def call(house: House, name: str, *words: str) -> None:
    await house.world.tell_daemon(name, *words)


def test_the_status_says_who_carries_there() -> None:
    async def body(house: House) -> None:
        shown = house.master
        assert (shown["active"], shown["mtu"], shown["namespace"]) == ("ens4", 1500, "web")
        assert shown["reason"].endswith("--home brings it back; ens4 carries there; the VF carries")

    there(body)


def test_a_failover_there_is_told_like_one_at_home() -> None:
    async def body(house: House) -> None:
        before = house.master["failovers"]
        house.world.unplug("vf")
        await trio.sleep(SOON)
        last = house.master["last_failover"]
        assert (last["from"], last["to"], last["to_role"], last["namespace"]) == ("ens4", "ens3nsby", "standby", "web")
        assert last["reason"] == "it was unplugged"
        house.world.plug("vf")
        await trio.sleep(2 * SOON)
        last = house.master["last_failover"]
        assert (last["to"], last["to_role"], last["reason"]) == ("ens4", "primary", "the VF has been steady")
        await house.order()
        await house.settles("", "accelerated")
        assert house.master["failovers"] == before + 2, "a move is no failover"

    there(body)


@pytest.mark.parametrize("word", [MAC, "ens3", "ens4", "ens3nsby"])
def test_a_drain_moves_the_traffic_until_it_is_ended(word: str) -> None:
    async def body(house: House) -> None:
        await call(house, "drain", word)
        assert house.world.carrier() == "pv"
        assert (house.master["drained"], house.master["active"]) == (True, "ens3nsby")
        await house.restart()
        await trio.sleep(2 * SOON)
        assert (house.world.carrier(), house.master["drained"]) == ("pv", True)
        await call(house, "undrain", word)
        await trio.sleep(1)
        assert house.world.carrier() == "vf", "it was steady all the time"
        with pytest.raises(CallError, match="ens3 is not drained"):
            await call(house, "undrain", word)

    there(body)


def test_a_drain_ends_by_its_time() -> None:
    async def body(house: House) -> None:
        await call(house, "drain", MAC, "20")
        await trio.sleep(15)
        assert house.world.carrier() == "pv"
        await trio.sleep(10)
        assert (house.world.carrier(), house.master["drained"]) == ("vf", False)

    there(body)


def test_a_drain_ends_with_the_next_vf_which_carries_when_it_has_been_steady() -> None:
    async def body(house: House) -> None:
        await call(house, "drain", MAC)
        house.world.unplug("vf")
        await trio.sleep(SOON)
        assert (house.where(), house.world.carrier()) == ("web", "pv")
        house.world.plug("vf")
        await trio.sleep(2)
        assert house.world.carrier() == "pv"
        await house.settles("web", "away")
        assert (house.world.carrier(), house.master["drained"]) == ("vf", False)

    there(body)


def test_a_drain_ends_where_the_pair_comes_home() -> None:
    async def body(house: House) -> None:
        await call(house, "drain", MAC)
        house.delete("web")
        await house.settles("", "accelerated")
        assert house.master["drained"] is False

    there(body)


def test_a_drained_vf_carries_where_the_standby_cannot() -> None:
    async def body(house: House) -> None:
        await call(house, "drain", MAC)
        kernel, ifindex = house.world.place_of("pv")
        kernel.set_medium(ifindex, False)
        await trio.sleep(SOON)
        assert house.world.carrier() == "vf"
        with pytest.raises(CallError, match="the standby of ens3 cannot carry: it has no carrier"):
            await call(house, "drain", MAC)

    there(body)


def test_a_switch_to_the_vf_skips_its_hold_down() -> None:
    async def body(house: House) -> None:
        await call(house, "switch", MAC, "ens3nsby")
        assert (house.world.carrier(), house.master["drained"]) == ("pv", True)
        await call(house, "switch", MAC, "ens4")
        assert (house.world.carrier(), house.master["drained"]) == ("vf", False)
        with pytest.raises(CallError, match="'eth9' is not one slave of ens3; it has ens4 and ens3nsby"):
            await call(house, "switch", MAC, "eth9")
        kernel, ifindex = house.world.place_of("vf")
        kernel.set_medium(ifindex, False)
        await trio.sleep(1)
        with pytest.raises(CallError, match="ens4 cannot carry: it has no carrier"):
            await call(house, "switch", MAC, "ens4")

    there(body, {"hold_down": 60.0})


def test_a_vf_that_was_told_to_carry_does_so_where_going_back_is_left_to_the_administrator() -> None:
    async def body(house: House) -> None:
        kernel, ifindex = house.world.place_of("vf")
        kernel.set_medium(ifindex, False)
        await trio.sleep(1)
        assert house.world.carrier() == "pv"
        kernel.set_medium(ifindex, True)
        await trio.sleep(60)
        assert house.world.carrier() == "pv"
        await call(house, "switch", MAC, "ens4")
        assert house.world.carrier() == "vf"

    there(body, {"automatic": False})


def test_a_vf_that_flaps_has_its_hold_down_anew_each_time() -> None:
    async def body(house: House) -> None:
        kernel, ifindex = house.world.place_of("vf")
        for _ in range(5):
            kernel.set_medium(ifindex, False)
            await trio.sleep(1)
            assert house.world.carrier() == "pv"
            kernel.set_medium(ifindex, True)
            await trio.sleep(2)
            assert house.world.carrier() == "pv"
        await trio.sleep(SOON)
        assert house.world.carrier() == "vf"

    there(body)


def test_a_vf_that_flaps_too_often_is_left_until_its_penalty_is_cleared() -> None:
    async def body(house: House) -> None:
        kernel, ifindex = house.world.place_of("vf")
        for number in range(7):
            kernel.set_medium(ifindex, False)
            await trio.sleep(1)
            kernel.set_medium(ifindex, True)
            await trio.sleep(5)
            assert house.world.carrier() == ("vf" if number < 6 else "pv"), number
        assert "ens3nsby carries there; the VF cannot carry: it flaps, and is suppressed" in house.master["reason"]
        await house.restart()
        await trio.sleep(SOON)
        assert (house.world.carrier(), house.master["suppressed"]) == ("pv", True)
        pv, standby = house.world.place_of("pv")
        pv.set_medium(standby, False)
        await trio.sleep(SOON)
        assert house.world.carrier() == "vf", "the standby cannot"
        pv.set_medium(standby, True)
        await call(house, "reset-damping", MAC)
        await trio.sleep(SOON)
        assert (house.world.carrier(), house.master["suppressed"]) == ("vf", False)

    there(body)


@pytest.mark.parametrize("order", [("release", MAC), ("rename", "ens3", "wan")])
def test_what_cannot_be_done_there_is_refused_with_the_reason(order: tuple[str, ...]) -> None:
    async def body(house: House) -> None:
        with pytest.raises(CallError, match="cannot be done there: it is in the network namespace web"):
            await call(house, *order)

    there(body)
