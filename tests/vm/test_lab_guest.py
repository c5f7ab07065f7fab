"""The lab's own machinery with a real guest: it runs commands, gives NICs up and takes them, and moves."""

from __future__ import annotations

import io
import json
import tarfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio

from failoverd_lab import guestprobe, judge, traffic
from failoverd_lab.checkpoint import checkpoint
from failoverd_lab.guest import Guest, open_guest
from failoverd_lab.host import LabError
from failoverd_lab.image import image
from failoverd_lab.nics import GuestNic
from failoverd_lab.peer import Peer
from failoverd_lab.switch import Switch, open_switch

pytestmark = pytest.mark.vm

MAC = "52:54:00:12:34:56"
STANDBY, VF = GuestNic("pv", "virtio", MAC, 3), GuestNic("vf", "vf", MAC, 4)


def with_guest(test: Callable[[Guest, Switch, Peer], Awaitable[None]], *nics: GuestNic) -> None:
    async def main() -> None:
        built = await image(progress=print)
        with trio.fail_after(400):
            async with open_switch() as switch:
                peer = Peer(switch, name="peer", mac_address="52:54:00:00:00:01", addresses=("10.0.0.1", "fd00::1"))
                async with open_guest(built, switch, nics=nics, progress=print) as guest:
                    await test(guest, switch, peer)
                assert list(switch.ports) == ["peer"]

    trio.run(main)


async def shell(guest: Guest, script: str) -> str:
    return (await guest.run(["sh", "-ec", script])).check().stdout.decode()


async def until(guest: Guest, script: str, wanted: str) -> None:
    """Wait until a script in the guest prints what is wanted."""
    seen = ""
    with trio.move_on_after(60):
        while (seen := (await shell(guest, script)).strip()) != wanted:
            await trio.sleep(0.05)
        return
    raise AssertionError(f"{script}: {seen!r}, not {wanted!r}")


def test_commands_files_and_archives() -> None:
    async def test(guest: Guest, switch: Switch, peer: Peer) -> None:
        assert await shell(guest, "hostname; id -u; . /etc/os-release; echo $VERSION_ID") == "guest\n0\n12\n"
        done = await guest.run(["sh", "-c", "cat; echo bad >&2; exit 7"], stdin=b"\0\xff")
        assert (done.returncode, done.stdout, done.stderr) == (7, b"\0\xff", b"bad\n")
        with pytest.raises(LabError, match="did not end in 1 s and was killed"):
            await guest.run(["sleep", "1000"], timeout=1)
        data = bytes(range(256)) * 4000
        await guest.put("/root/a/b", data, 0o755)
        assert (await guest.run(["cat", "/root/a/b"])).stdout == data
        assert await shell(guest, "stat -c %a /root/a/b") == "755\n"
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w:gz") as tar:
            tar.add(guestprobe.__file__, "x/probe.py")
        await guest.unpack(archive.getvalue(), "/opt/y")
        assert await shell(guest, "cat /opt/y/x/probe.py") == Path(guestprobe.__file__).read_text()
        asked = time.time()
        assert asked - 1 < float(await shell(guest, "date +%s.%N")) < time.time() + 1

    with_guest(test)


def test_nics_come_and_go_and_lose_their_link() -> None:
    async def test(guest: Guest, switch: Switch, peer: Peer) -> None:
        assert await guest.netdevs("pv") == ["enp3s0"]
        await guest.plug(VF)
        assert await guest.netdevs("vf") == ["enp4s0"]
        driver = "basename $(readlink /sys/class/net/$1/device/driver)"
        assert await shell(guest, f"set enp3s0; {driver}; set enp4s0; {driver}") == "virtio_net\nvmxnet3\n"
        assert await shell(guest, "cat /sys/class/net/enp*/address") == f"{MAC}\n{MAC}\n"
        await shell(guest, "ip link set enp3s0 up; ip link set enp4s0 up")
        for nic, name in (("vf", "enp4s0"), ("pv", "enp3s0")):
            for up in (True, False, True):
                await guest.set_link(nic, up)
                await until(guest, f"cat /sys/class/net/{name}/carrier", f"{up:d}")
        with pytest.raises(LabError, match="vf is plugged in already"):
            await guest.plug(VF)
        await guest.unplug("vf")
        assert await shell(guest, "ls /sys/class/net") == "enp3s0\nlo\n"
        assert list(switch.ports) == ["peer", "pv@1"]
        with pytest.raises(LabError, match="vf is not plugged in; plugged in are: pv"):
            await guest.unplug("vf")
        await guest.plug(VF)
        assert await guest.netdevs("vf") == ["enp4s0"]

    with_guest(test, STANDBY)


@pytest.mark.more
def test_it_moves_and_its_frames_come_from_the_new_ports() -> None:
    async def test(guest: Guest, switch: Switch, peer: Peer) -> None:
        await shell(guest, "ip link set enp3s0 up; ip addr add 10.0.0.2/24 dev enp3s0")
        await guest.put("/root/guestprobe.py", Path(guestprobe.__file__).read_bytes())
        await peer.resolve("10.0.0.2")
        await shell(guest, "systemd-run --unit=probe python3 /root/guestprobe.py 10.0.0.1 100 /root/probe.json")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.send_probes, "10.0.0.2", 100)
            with trio.fail_after(60):
                while len(peer.diary.heard) < 100:
                    await trio.sleep(0.05)
            with pytest.raises(LabError, match="vf is a VF: it cannot move to another host; unplug it first"):
                await guest.migrate()
            await guest.unplug("vf")
            moved = await guest.migrate()
            assert 0 <= moved.downtime < moved.total
            before = len(peer.diary.heard)
            with trio.fail_after(60):
                while len(peer.diary.heard) < before + 100:
                    await trio.sleep(0.05)
            nursery.cancel_scope.cancel()
        await shell(guest, "systemctl stop probe")
        assert list(switch.ports) == ["peer", "pv@2"]
        assert set(peer.ports[:100]) == {"pv@1"}
        assert set(peer.ports[before:]) == {"pv@2"}
        assert peer.ports == sorted(peer.ports)

        start = peer.diary.sent[0][1]
        diary = traffic.diary(json.loads(await shell(guest, "cat /root/probe.json")))
        probes = judge.probes(peer.diary, diary, start)
        length = peer.diary.sent[-1][1] - start
        assert judge.lost(probes, "from-guest", 0, length) < 50
        assert 0.01 < judge.silence(probes, "from-guest", 0, length).length < 5
        told = [one.kind for one in judge.announcements(peer.announcements, start) if one.nic == "pv"]
        assert "gratuitous ARP" in told

        await guest.plug(VF)
        assert await guest.netdevs("vf") == ["enp4s0"]
        await guest.unplug("vf")
        await guest.migrate()
        assert await shell(guest, "ls /sys/class/net; hostname") == "enp3s0\nlo\nguest\n"

    with_guest(test, STANDBY, VF)


@pytest.mark.more
def test_qemus_own_failover_takes_the_vf_along() -> None:
    async def test(guest: Guest, switch: Switch, peer: Peer) -> None:
        assert await guest.netdevs("pv") == ["enp3s0", "enp3s0nsby"]
        [vf] = await guest.netdevs("vf")
        slaves = "basename -a /sys/class/net/enp3s0/lower_* | sort"
        assert (await shell(guest, slaves)).split() == sorted(f"lower_{name}" for name in ("enp3s0nsby", vf))
        await guest.migrate()
        await until(guest, "basename -a /sys/class/net/enp3s0/lower_* | wc -l", "2")
        assert sorted(switch.ports) == ["peer", "pv@2", "vf@2"]

    pair = GuestNic("pv", "virtio", MAC, 3, pair="vf"), GuestNic("vf", "vf", MAC, 4, pair="pv")
    with_guest(test, *pair)


@pytest.mark.more
def test_a_checkpoint_that_does_not_fit_is_refused_and_the_guest_boots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cache is made that has the image, and a checkpoint of it that is none."""
    told: list[str] = []

    async def main() -> None:
        built = await image(progress=print)
        real = await checkpoint(built, progress=print)
        (tmp_path / built.disk.parent.name).symlink_to(built.disk.parent)
        broken = tmp_path / real.state.parent.name
        broken.mkdir()
        (broken / "disk.qcow2").symlink_to(real.disk)
        (broken / "state").write_bytes(b"the state of no machine")
        monkeypatch.setenv("FAILOVERD_LAB_CACHE", str(tmp_path))
        with trio.fail_after(400):
            async with (
                open_switch() as switch,
                open_guest(await image(), switch, nics=[STANDBY], progress=told.append) as guest,
            ):
                assert await guest.netdevs("pv") == ["enp3s0"]
                assert "-incoming" not in (guest.machine.directory / "command").read_text()

    trio.run(main)
    # QEMU is gone before it is asked for anything, or when it is told to go on.
    assert told[0].startswith("no start from a checkpoint, booting instead: QEMU ")
    assert "qemu-system-x86_64: Not a migration stream" in told[0]
    assert told[1:] == ["booting the guest"]


def test_what_goes_wrong_inside_comes_out_as_itself() -> None:
    async def test(guest: Guest, switch: Switch, peer: Peer) -> None:
        await guest.plug(GuestNic("far", "vf", MAC, 99))

    with pytest.raises(LabError, match="Bus 'slot99' not found"):
        with_guest(test)
