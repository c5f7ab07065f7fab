"""What of interfaces is asked of the kernel anew, in a network namespace, and that nothing else is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from privatenet import private_net
from test_daemon_picture import Ask, batch, with_picture

from failoverd.daemon import inventory_look, picture
from failoverd.daemon.inventory_look import FEW
from failoverd.daemon.picture import Picture
from failoverd.inventory.facts import Interface
from failoverd.netlink.frames import NLM_F_DUMP, Message, NetlinkError, split
from failoverd.netlink.inventory import read_interface
from failoverd.netlink.links import RTM_GETLINK


def as_new_tunnel(message: Message) -> Interface:
    """A new link as the kernel tells of a tunnel that a module makes: before the MTU is set."""
    return replace(read_interface(message), kind="gre", mtu=7)


def links_asked(picture: Picture, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """How links are asked for from now on."""
    asked: list[str] = []
    send = picture._asking.send

    async def note(datagram: bytes) -> None:
        flags = [message.flags for message in split(datagram) if message.type == RTM_GETLINK]
        asked.extend("all" if flag & NLM_F_DUMP == NLM_F_DUMP else "one" for flag in flags)
        await send(datagram)

    monkeypatch.setattr(picture._asking, "send", note)
    return asked


@private_net
@pytest.mark.parametrize(("many", "asked"), [(1, ["one"]), (FEW + 1, ["all"])])
def test_a_new_tunnel_is_told_with_the_mtu_that_it_has_by_then(
    many: int, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(seen: Picture, ask: Ask) -> None:
        await ask()
        monkeypatch.setattr(picture, "read_interface", as_new_tunnel)
        found = links_asked(seen, monkeypatch)
        batch("".join(f"link add d{number} mtu 1476 type ifb\n" for number in range(many)))
        rows = {row["name"]: row["mtu"] for row in (await ask())["interfaces"]}
        assert rows == {"lo": rows["lo"]} | {f"d{number}": 1476 for number in range(many)}
        assert found == asked

    with_picture(body)


@private_net
def test_a_tunnel_that_is_gone_by_then_is_no_trouble() -> None:
    async def body(seen: Picture, ask: Ask) -> None:
        await ask()
        seen.stock.stale.links.add(999)
        assert [row["name"] for row in (await ask())["interfaces"]] == ["lo"]

    with_picture(body)


@private_net
def test_one_that_cannot_be_read_is_left_out_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(_picture: Picture, ask: Ask) -> None:
        def read(message: Message) -> Interface:
            found = read_interface(message)
            if found.name == "v0":
                raise NetlinkError("odd")
            return found

        monkeypatch.setattr(inventory_look, "read_interface", read)
        assert [row["name"] for row in (await ask())["interfaces"]] == ["lo", "v1"]

    batch("link add v0 type veth peer name v1\n")
    with_picture(body)
