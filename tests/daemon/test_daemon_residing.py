"""Where a master is to be: by the configuration, by orders that last, and by what becomes of its namespace."""

from __future__ import annotations

import pytest
import trio
from houseworld import MAC, SOON, House, in_house

from failoverd.core.call_answers import CallError

NAMED = {"ens3": {"namespace": "web"}}
PARKING = {"ens3": {"namespace": "web", "when_gone": "park"}}
ABSENT = "there is no network namespace web; it is waited for"


def test_the_configuration_moves_it_when_it_is_joined_and_the_namespace_is_there() -> None:
    async def body(house: House) -> None:
        await house.settles("", "accelerated")
        shown = house.master
        assert (shown["wanted_namespace"], shown["wanted_by"], shown["namespace"]) == ("web", "configuration", "")
        assert shown["move_pending"] == ABSENT
        house.create("web")
        await house.settles("web", "away")
        assert (house.master["namespace"], house.master["move_pending"]) == ("web", "")
        await house.configure(None)
        await house.settles("", "accelerated")
        assert (house.master["wanted_namespace"], house.master["wanted_by"]) == ("", "")

    in_house(body, NAMED)


def test_the_key_may_name_the_mac() -> None:
    async def body(house: House) -> None:
        house.create("web")
        await house.settles("web", "away")

    in_house(body, {MAC: {"namespace": "web"}})


def test_another_namespace_in_the_configuration_is_moved_to_by_way_of_home_when_it_is_there() -> None:
    async def body(house: House) -> None:
        house.create("web")
        await house.settles("web", "away")
        await house.configure("blue")
        await house.settles("web", "away")
        assert house.master["move_pending"] == "there is no network namespace blue; it is waited for"
        house.create("blue")
        await house.settles("blue", "away")

    in_house(body, NAMED)


def test_an_order_holds_until_the_key_is_changed() -> None:
    async def body(house: House) -> None:
        house.create("web")
        await house.settles("web", "away")
        await house.order()
        await house.settles("", "accelerated")
        assert (house.master["wanted_by"], house.master["wanted_namespace"]) == ("order", "")
        # A reload of something else, a restart: it holds. The key's change ends it.
        await house.configure("web", "park")
        await house.restart()
        await house.settles("", "accelerated")
        await house.configure("path:/nowhere")
        assert house.master["wanted_by"] == "order"
        await trio.sleep(SOON)
        assert house.master["wanted_by"] == "configuration"
        await house.configure("web")
        await house.settles("web", "away")

    in_house(body, NAMED)


def test_a_key_that_comes_and_goes_takes_the_place_of_an_order() -> None:
    async def body(house: House) -> None:
        house.create("web")
        await house.order("web")
        await house.settles("web", "away")
        assert house.master["wanted_by"] == "order"
        await house.restart()
        await house.settles("web", "away")
        await house.configure("web")
        await trio.sleep(SOON)
        assert house.master["wanted_by"] == "configuration"
        await house.configure(None)
        await house.settles("", "accelerated")

    in_house(body)


def test_an_order_into_a_namespace_that_is_not_there_is_pending_and_outlasts_a_restart() -> None:
    async def body(house: House) -> None:
        await house.order("web")
        await house.settles("", "accelerated")
        assert (house.master["wanted_by"], house.master["move_pending"]) == ("order", ABSENT)
        await house.restart()
        await house.settles("", "accelerated")
        assert house.master["move_pending"] == ABSENT
        house.create("web")
        await house.settles("web", "away")
        house.delete("web")
        await house.settles("", "accelerated")
        assert house.master["move_pending"] == ABSENT
        house.create("web")
        await house.settles("web", "away")

    in_house(body)


def test_a_pending_order_is_taken_back_by_the_one_home() -> None:
    async def body(house: House) -> None:
        with pytest.raises(CallError, match="is at home"):
            await house.order()
        await house.order("web")
        await house.order()
        assert house.world._disk.orders == {}
        house.create("web")
        await house.settles("", "accelerated")

    in_house(body)


def test_an_order_that_is_refused_is_none_and_the_one_before_holds() -> None:
    async def body(house: House) -> None:
        house.create("red")
        house["red"].admin.create("dummy", "ens3")
        with pytest.raises(CallError, match="the name ens3 is taken there"):
            await house.order("red")
        house.create("web")
        await house.settles("web", "away")
        with pytest.raises(CallError, match="cannot be moved: it is in the network namespace web"):
            await house.order("red")

    in_house(body, NAMED)


def test_what_keeps_it_is_said_and_tried_again_later_and_later() -> None:
    async def body(house: House) -> None:
        web = house.world.namespaces.create("web")
        web.admin.create("dummy", "ens3")
        house.world._note()
        await house.settles("", "accelerated")
        assert "the name ens3 is taken there by a dummy" in house.master["move_pending"]
        await trio.sleep(200)
        (taken,) = [link for link in web.links() if link.name == "ens3"]
        web.admin.delete(taken.ifindex)
        await trio.sleep(61)
        await house.settles("web", "away")

    in_house(body, NAMED)


@pytest.mark.parametrize("is_dead", [False, True])
def test_its_namespace_ends_and_comes_again(is_dead: bool) -> None:
    async def body(house: House) -> None:
        house.create("web")
        await house.settles("web", "away")
        if is_dead:
            await house.restart(lambda: house.delete("web"))
        else:
            house.delete("web")
        await house.settles("", "accelerated")
        assert house.master["move_pending"] == ABSENT
        house.create("web")
        await house.settles("web", "away")

    in_house(body, NAMED)


@pytest.mark.parametrize("is_dead", [False, True])
def test_it_is_parked_where_the_configuration_says_so(is_dead: bool) -> None:
    async def body(house: House) -> None:
        house.create("web")
        await house.settles("web", "away")
        if is_dead:
            await house.restart(lambda: house.delete("web"))
        else:
            house.delete("web")
        await house.settles("none", "parked")
        assert "it is parked until the network namespace web is there again" in house.master["reason"]
        assert (house.master["namespace"], house.master["move_pending"]) == ("web", "")
        assert house.find("", "ens3") is None
        await house.restart()
        await house.settles("none", "parked")
        house.create("web")
        await house.settles("web", "away")
        assert house.world.carrier() == "vf"

    in_house(body, PARKING)


@pytest.mark.parametrize("how", ["order", "key", "when_gone"])
def test_one_that_is_parked_is_taken_home(how: str) -> None:
    async def body(house: House) -> None:
        house.create("web")
        await house.settles("web", "away")
        house.delete("web")
        await house.settles("none", "parked")
        if how == "order":
            await house.order()
        else:
            await house.configure(None if how == "key" else "web")
        await house.settles("", "accelerated")
        assert house.world.carrier() == "vf"

    in_house(body, PARKING)


@pytest.mark.parametrize("config", [NAMED, PARKING], ids=["home", "park"])
@pytest.mark.parametrize("is_dead", [False, True])
def test_a_namespace_that_is_made_anew_under_its_name_is_moved_into(
    config: dict[str, dict[str, str]], is_dead: bool
) -> None:
    async def body(house: House) -> None:
        def anew() -> None:
            house.delete("web")
            house.create("web")

        house.create("web")
        await house.settles("web", "away")
        if is_dead:
            await house.restart(anew)
        else:
            anew()
        await house.settles("web", "away")

    in_house(body, config)


@pytest.mark.parametrize("config", [NAMED, PARKING], ids=["home", "park"])
def test_a_namespace_that_ends_again_and_again_does_not_have_the_traffic_follow_each_time(
    config: dict[str, dict[str, str]],
) -> None:
    async def body(house: House) -> None:
        moves = 0
        for _ in range(24):
            house.create("web")
            await trio.sleep(2)
            moves += house.where() == "web"
            house.delete("web")
            await trio.sleep(2)
        if config is NAMED:
            assert 3 <= moves <= 8
        house.create("web")
        await trio.sleep(70)
        await house.settles("web", "away")

    in_house(body, config)


def test_a_slave_that_is_taken_into_a_third_namespace_is_missed_and_comes_back_with_it() -> None:
    async def body(house: House) -> None:
        house.create("web")
        house.create("other")
        await house.settles("web", "away")
        vf = house.find("web", "ens4")
        assert vf is not None
        kernel = house["web"]
        kernel.admin.set_master(vf.ifindex, 0)
        house.world.move_device("vf", "other")
        await house.settles("web", "away")
        assert house.world.carrier() == "pv"
        house.delete("other")
        await house.settles("web", "away")
        assert house.world.carrier() == "vf"

    in_house(body, NAMED)
