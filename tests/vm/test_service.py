"""The unit of units/ in a real guest: systemd starts it, keeps it in its sandbox, and starts it again."""

from __future__ import annotations

from pathlib import Path

import pytest
from pairguest import pair_guest, run

pytestmark = pytest.mark.vm

UNIT = Path(__file__).parents[2] / "units" / "failoverd.service"


def test_systemd_brings_a_killed_failoverd_back_and_with_it_the_traffic() -> None:
    """Where traffic control joins the pair nobody else does. The announcements need what the sandbox leaves."""

    async def test() -> None:
        async with pair_guest() as pair:
            unit = UNIT.read_text().replace("/usr/bin/failoverd", "/usr/local/bin/failoverd")
            await pair.guest.put("/etc/systemd/system/failoverd.service", unit.encode())
            await pair.guest.put("/etc/failoverd/failoverd.toml", b'[master]\ndatapath = "tc"\n')
            await pair.shell("systemctl daemon-reload; systemctl start failoverd.service")
            master = await pair.accelerated()
            assert (master["datapath"], master["active"]) == ("tc", master["primary"]["name"])
            first = await pair.shell("systemctl show --property=MainPID --value failoverd.service")
            await pair.shell("systemctl kill --signal=KILL failoverd.service")
            await pair.guest.unplug("vf")
            master = await pair.on_standby()
            assert master["active"] == pair.name
            assert await pair.shell("systemctl show --property=MainPID --value failoverd.service") != first
            await pair.shell("systemctl stop failoverd.service")
            said = await pair.shell("journalctl --unit=failoverd --no-pager --output=cat")
            assert "ERROR" not in said
            assert "WARNING" not in said, said

    run(test)
