"""The service in a real guest: systemd starts it, keeps it in its sandbox, and starts it again."""

from __future__ import annotations

import pytest
from debguest import ONE_OF_THE_SUITES, deb_guest
from pairguest import run

pytestmark = pytest.mark.vm


@pytest.mark.parametrize("suite", ONE_OF_THE_SUITES)
def test_systemd_brings_a_killed_failoverd_back_and_with_it_the_traffic(suite: str) -> None:
    """Where traffic control joins the pair nobody else does. The announcements need what the sandbox leaves, and so do
    the modules, which the kernel loads when they are asked for."""

    async def test() -> None:
        async with deb_guest(suite) as pair:
            await pair.guest.put("/etc/failoverd/failoverd.toml", b'[master]\ndatapath = "tc"\n')
            assert "act_mirred" not in await pair.shell("lsmod")
            await pair.install()
            master = await pair.accelerated()
            assert (master["datapath"], master["active"]) == ("tc", master["primary"]["name"])
            first = await pair.show("failoverd.service", "MainPID")
            await pair.shell("systemctl kill --signal=KILL failoverd.service")
            await pair.guest.unplug("vf")
            master = await pair.on_standby()
            assert master["active"] == pair.name
            assert await pair.show("failoverd.service", "MainPID") != first
            await pair.shell("systemctl stop failoverd.service")
            said = await pair.shell("journalctl --unit=failoverd --no-pager --output=cat")
            assert "ERROR" not in said
            assert "WARNING" not in said, said

    run(test)
