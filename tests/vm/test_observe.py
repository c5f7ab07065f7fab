"""What the journal, the metrics and the history say of a VF that is unplugged, in a real guest with a real journald."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pairguest import MAC, PairGuest, pair_guest, run

pytestmark = [pytest.mark.vm, pytest.mark.more]

UNITS = Path(__file__).parents[2] / "units"
FAILED_OVER = "4618d75a3eef42019599644ce75903af"


async def entries(pair: PairGuest, message_id: str) -> list[dict[str, str]]:
    said = await pair.shell('journalctl --no-pager --output=json "MESSAGE_ID=$1"', message_id)
    return [json.loads(line) for line in said.splitlines()]


def test_a_failover_is_in_the_journal_in_the_metrics_and_in_the_history() -> None:
    async def test() -> None:
        async with pair_guest() as pair:
            unit = (UNITS / "failoverd.service").read_text().replace("/usr/bin/failoverd", "/usr/local/bin/failoverd")
            await pair.guest.put("/etc/systemd/system/failoverd.service", unit.encode())
            catalog = (UNITS / "failoverd.catalog").read_bytes()
            await pair.guest.put("/usr/lib/systemd/catalog/failoverd.catalog", catalog)
            await pair.shell("echo 'u failoverd -' | systemd-sysusers -")
            await pair.shell("journalctl --update-catalog; systemctl daemon-reload; systemctl start failoverd.service")
            vf = (await pair.accelerated())["primary"]
            await pair.guest.unplug("vf")
            standby = (await pair.on_standby())["standby"]
            await pair.shell(
                "systemctl stop failoverd.service; journalctl --sync; test ! -e /run/failoverd/metrics.prom"
            )

            (entry,) = await entries(pair, FAILED_OVER)
            ours = {name: value for name, value in entry.items() if name.startswith("FAILOVERD_")}
            assert float(ours.pop("FAILOVERD_SILENCE_SECONDS")) < 60
            assert float(ours.pop("FAILOVERD_MONOTONIC")) * 1e6 <= int(entry["__MONOTONIC_TIMESTAMP"])
            assert float(ours.pop("FAILOVERD_TIME")) * 1e6 <= int(entry["__REALTIME_TIMESTAMP"])
            # A VF that is unplugged is set down first, and a slow guest may see the one without the other.
            assert ours.pop("FAILOVERD_REASON") in ("it was unplugged", "the VF cannot carry: it is down")
            assert ours == {
                "FAILOVERD_EVENT": "failed-over",
                "FAILOVERD_MASTER": pair.name,
                "FAILOVERD_MAC": MAC,
                "FAILOVERD_FROM": vf["name"],
                "FAILOVERD_FROM_IFINDEX": str(vf["ifindex"]),
                "FAILOVERD_TO": standby["name"],
                "FAILOVERD_TO_IFINDEX": str(standby["ifindex"]),
                "FAILOVERD_TO_ROLE": "standby",
            }
            assert (entry["PRIORITY"], entry["SYSLOG_IDENTIFIER"]) == ("5", "failoverd")
            assert entry["_SYSTEMD_UNIT"] == "failoverd.service"
            said = await pair.shell("journalctl --unit=failoverd --no-pager --output=cat")
            assert said.count(entry["MESSAGE"]) == 1, "told once"
            explained = await pair.shell("journalctl --unit=failoverd --no-pager --catalog")
            assert f"Another slave carries the traffic of {pair.name}" in explained

            history = json.loads(
                await pair.shell(
                    "setpriv --reuid=65534 --clear-groups python3 -c 'import sys; "
                    'sys.path.insert(0, "/opt/failoverd"); '
                    'from failoverd.cli.ctl import main; main(["history", "--json"])\''
                )
            )
            told = [one["event"] for one in history]
            assert told[0] == "started"
            assert [one for one in told if one != "link-renamed"] == ["started", "joined", "failed-over", "stopped"]
            boot = (await pair.shell("cat /proc/sys/kernel/random/boot_id")).strip().replace("-", "")
            assert {one["boot"] for one in history} == {boot}

            await pair.shell("rm -r /run/failoverd; systemctl start failoverd.service")
            await pair.on_standby()
            metrics = (
                'for i in $(seq 100); do test -e "$1" && break; sleep 0.1; done; '
                'stat -c %a "$1"; setpriv --reuid=65534 --clear-groups cat "$1"'
            )
            mode, *lines = (await pair.shell(metrics, "/run/failoverd/metrics.prom")).splitlines()
            assert mode == "644"
            assert f'failoverd_master_state{{master="{pair.name}",state="on-standby"}} 1' in lines
            assert f'failoverd_slave_active{{master="{pair.name}",slave="{standby["name"]}",role="standby"}} 1' in lines
            assert f'failoverd_failovers_total{{master="{pair.name}",to_role="standby"}} 0' in lines
            await pair.shell("systemctl kill --signal=KILL failoverd.service")
            await pair.on_standby()
            await pair.shell("systemctl stop failoverd.service")
            lives = [
                json.loads(line)["event"] for line in (await pair.shell("cat /var/lib/failoverd/history")).splitlines()
            ]
            assert lives[: len(history)] == told
            assert lives[len(history) :] == ["started", "joined", "started", "joined", "stopped"]

    run(test)
