"""What of interfaces is asked of the kernel anew, in a network namespace, and that nothing else is."""

from __future__ import annotations

import pytest
from privatenet import private_net
from test_daemon_picture import Ask, batch, with_picture

from failoverd.daemon import inventory_look
from failoverd.daemon.picture import Picture
from failoverd.inventory.facts import Interface
from failoverd.netlink.frames import Message, NetlinkError
from failoverd.netlink.inventory import read_interface


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
