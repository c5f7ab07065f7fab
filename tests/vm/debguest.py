"""A guest with a pair and the Debian package, installed as anybody would: apt, from a file, with no network."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

import pytest
from pairguest import STANDBY, VF, PairGuest

from failoverd_lab.guest import open_guest
from failoverd_lab.image import image
from failoverd_lab.nics import GuestNic
from failoverd_lab.switch import open_switch

ROOT = Path(__file__).parents[2]
SUITES = ["bookworm", "trixie"]
ONE_OF_THE_SUITES = [pytest.param("bookworm", marks=pytest.mark.more), "trixie"]
THE_OTHER_SUITE = ["bookworm", pytest.param("trixie", marks=pytest.mark.more)]
"""For `make test`; the other one is in `make test-guest-more`."""
INSTALL = """
export DEBIAN_FRONTEND=noninteractive
cd /run
apt-get -q -y install ./failoverd.deb 2>&1
"""
UPGRADED = """
cd /run
rm -rf newer && dpkg-deb -R failoverd.deb newer
sed -i 's/^Version:.*/&+test/' newer/DEBIAN/control
sed -i 's/^__version__.*/__version__ = "newer"/' newer/usr/lib/python3/dist-packages/failoverd/__init__.py
rm newer/DEBIAN/md5sums
dpkg-deb --root-owner-group -b newer failoverd.deb
"""
"""The same package a version later, and its code with it."""


PLACES = """
find / -xdev \\( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /var/lib/dpkg \
    -o -path /var/log -o -path /var/cache/apt -o -path /var/lib/apt -o -path /var/cache/debconf \\) -prune \
    -o -print | sort
cat /etc/passwd /etc/group | sort
find /run -user failoverd 2>/dev/null || true
ls -d /run/failoverd* 2>/dev/null | grep -v '\\.deb$' || true
"""
"""Every path that a package may leave behind, and every user; not what apt and dpkg keep of their own work. Only the
backups that useradd and userdel make of the files they change may be new."""
BACKUPS = re.compile(r"/etc/(passwd|group|shadow|gshadow)-|/etc/\.pwd\.lock")


def places(text: str) -> set[str]:
    """The lines, without those that nobody minds."""
    return {line for line in text.splitlines() if not BACKUPS.fullmatch(line)}


@cache
def packages() -> list[Path]:
    """All of them, built from the tree as it is (tools/deb.sh builds nothing anew where nothing has changed)."""
    if not shutil.which("dh_python3") or not shutil.which("dpkg-buildpackage"):
        pytest.skip("debhelper, dh-python or dpkg-dev are not installed")
    done = subprocess.run([ROOT / "tools" / "deb.sh"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [Path(line) for line in done.stdout.splitlines()]


def package() -> Path:
    """The daemon's package."""
    return packages()[-1]


def cni_package() -> Path:
    """The CNI plugin's package."""
    return next(path for path in packages() if path.name.startswith("failoverd-cni_"))


def etcd_package() -> Path:
    """That of the service that follows etcd."""
    return next(path for path in packages() if path.name.startswith("failoverd-etcd_"))


class DebGuest(PairGuest):
    """See the module."""

    async def install(self) -> str:
        """Install the package, or the one that `make_newer` made. What apt said."""
        return await self.shell(INSTALL, seconds=900)

    async def make_newer(self) -> None:
        """The next `install` is an upgrade."""
        await self.shell(UPGRADED)

    async def reboot(self) -> None:
        """A real reboot, the NICs plugged; until systemd has started everything."""
        await self.guest.reboot()

    async def show(self, unit: str, what: str) -> str:
        """A property of a unit."""
        return (await self.shell('systemctl show --value --property="$2" "$1"', unit, what)).strip()


async def exposure(pair: DebGuest, unit: str = "failoverd.service") -> float:
    """A service's exposure level, as its own systemd sees it."""
    told = await pair.shell('systemd-analyze security --no-pager "$1"', unit)
    print("\n".join(line for line in told.splitlines() if line.startswith("✗") or "Overall" in line))
    found = re.search(rf"Overall exposure level for {unit}: ([0-9.]+)", told)
    assert found, told
    return float(found[1])


@asynccontextmanager
async def deb_guest(
    suite: str, nics: tuple[GuestNic, ...] = (STANDBY, VF), extra: tuple[str, ...] = ()
) -> AsyncIterator[DebGuest]:
    """A guest of that Debian release with the packages `extra`, its paravirtual NIC up and with an address; the package
    lies in /run."""
    deb = package().read_bytes()
    built = await image(suite, extra=extra, progress=print)
    async with open_switch() as switch, open_guest(built, switch, nics=nics) as guest:
        pair = DebGuest(guest, switch, (await guest.netdevs("pv"))[0])
        await guest.put("/run/failoverd.deb", deb)
        await pair.shell(
            'ip link set "$1" up; ip address add 10.111.0.2/24 dev "$1"; ip route add default via 10.111.0.1', pair.name
        )
        yield pair
